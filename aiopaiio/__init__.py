"""aiopaiio: asynchronous table I/O for MaxCompute (ODPS).

    async with aiopaiio.Client() as client:
        async with client.open_reader("odps://PROJECT/tables/TABLE") as reader:
            async for batch in reader:
                ...

The blocking face is the package ``paiio``; the service for one machine is :mod:`aiopaiio.local`.
"""

from aiopaiio.client import Client
from aiopaiio.config import Config, load_config
from aiopaiio.errors import (
    AuthorizationError,
    BusyError,
    CertificateError,
    ChecksumError,
    ClosedError,
    ColumnError,
    CommitError,
    ConfigError,
    ConnectFailed,
    ConnectionLost,
    DataError,
    DecompressionError,
    Error,
    ForkedError,
    MalformedStreamError,
    NoSuchObject,
    NoSuchPartition,
    NoSuchProject,
    NoSuchTable,
    OutOfRange,
    RowCountError,
    SchemaMismatchError,
    ServerError,
    ServerUnavailable,
    SessionConflict,
    SessionExpired,
    SliceConflictError,
    SliceError,
    TableModified,
    TablePathError,
    Throttled,
    TimestampRangeError,
    TransportError,
    TransportTimeout,
    TruncatedStreamError,
    UnprovenRowsError,
    UsageError,
    ValueTypeError,
)
from aiopaiio.reader import TableRead, TableReader
from aiopaiio.records import Records
from aiopaiio.retry import RetryPolicy
from aiopaiio.schema import Column, TableSchema
from aiopaiio.shared_upload import SharedUpload
from aiopaiio.slicing import RowRange
from aiopaiio.table_path import PartitionSpec, TablePath
from aiopaiio.wide_time import WideInterval, WideTimestamp
from aiopaiio.writer import TableWriter

__all__ = [
    "AuthorizationError",
    "BusyError",
    "CertificateError",
    "ChecksumError",
    "Client",
    "ClosedError",
    "Column",
    "ColumnError",
    "CommitError",
    "Config",
    "ConfigError",
    "ConnectFailed",
    "ConnectionLost",
    "DataError",
    "DecompressionError",
    "Error",
    "ForkedError",
    "MalformedStreamError",
    "NoSuchObject",
    "NoSuchPartition",
    "NoSuchProject",
    "NoSuchTable",
    "OutOfRange",
    "PartitionSpec",
    "Records",
    "RetryPolicy",
    "RowCountError",
    "RowRange",
    "SchemaMismatchError",
    "ServerError",
    "ServerUnavailable",
    "SessionConflict",
    "SessionExpired",
    "SharedUpload",
    "SliceConflictError",
    "SliceError",
    "TableModified",
    "TablePath",
    "TablePathError",
    "TableRead",
    "TableReader",
    "TableSchema",
    "TableWriter",
    "Throttled",
    "TimestampRangeError",
    "TransportError",
    "TransportTimeout",
    "TruncatedStreamError",
    "UnprovenRowsError",
    "UsageError",
    "ValueTypeError",
    "WideInterval",
    "WideTimestamp",
    "load_config",
]
