"""PyODPS's own writers and readers of both wire forms, driven by Arrow batches."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pandas as pd
import pyarrow as pa
from odps import options
from odps import types as pyodps_types
from odps.compat import Monthdelta
from odps.models import Record
from odps.tunnel.io.reader import ArrowStreamReader, TunnelRecordReader
from odps.tunnel.io.writer import BaseArrowWriter, BaseRecordWriter

from aiopaiio.odps_types import OdpsType, parse_type
from aiopaiio.schema import Column


@contextmanager
def in_utc() -> Iterator[None]:
    """PyODPS shifts DATETIME and TIMESTAMP to a local time zone unless told not to."""
    before = options.local_timezone
    options.local_timezone = False
    try:
        yield
    finally:
        options.local_timezone = before


def pyodps_schema(columns: Sequence[Column]) -> pyodps_types.OdpsSchema:
    return pyodps_types.OdpsSchema([pyodps_types.Column(column.name, column.type) for column in columns])


def written_records(columns: Sequence[Column], batch: pa.RecordBatch) -> bytes:
    """The body PyODPS writes for the rows."""
    schema, out = pyodps_schema(columns), io.BytesIO()
    kinds = [parse_type(column.type) for column in columns]
    with in_utc():
        writer = BaseRecordWriter(schema, out)
        for row in batch.to_pylist():
            cells = [to_pyodps(kind, row[column.name]) for kind, column in zip(kinds, columns, strict=True)]
            writer.write(Record(schema=schema, values=cells))
        writer.close()
    return out.getvalue()


def read_records(columns: Sequence[Column], body: bytes) -> list[list[Any]]:
    """The rows PyODPS reads, as ``RecordBatch.to_pylist`` would give their cells."""
    kinds = [parse_type(column.type) for column in columns]
    with in_utc():
        reader = TunnelRecordReader(pyodps_schema(columns), lambda *_, **__: io.BytesIO(body))
        return [
            [from_pyodps(kind, cell) for kind, cell in zip(kinds, record.values, strict=True)]
            for record in iter(reader.read, None)
        ]


def written_arrow(columns: Sequence[Column], batch: pa.RecordBatch, frame_bytes: int) -> bytes:
    out = io.BytesIO()
    with in_utc():
        writer = BaseArrowWriter(pyodps_schema(columns), out, chunk_size=frame_bytes)
        if batch.num_rows:
            writer.write(batch)
        writer._finish()
    return out.getvalue()


def read_arrow(schema: pa.Schema, body: bytes) -> list[pa.RecordBatch]:
    stream = ArrowStreamReader(io.BytesIO(body), schema)
    return list(pa.ipc.open_stream(stream)) if len(body) > 8 else []


def to_pyodps(kind: OdpsType, value: Any) -> Any:
    if value is None:
        return None
    match kind.name:
        case "timestamp" | "timestamp_ntz":
            return pd.Timestamp(value)
        case "interval_day_time":
            return pd.Timedelta(seconds=value["sec"]) + pd.Timedelta(value["nano"], "ns")
        case "interval_year_month":
            return Monthdelta(value)
        case "json":
            return json.loads(value)
        case "array" | "vector":
            return [to_pyodps(kind.children[0], item) for item in value]
        case "map":
            keys, items = kind.children
            return {to_pyodps(keys, key): to_pyodps(items, item) for key, item in value}
        case "struct":
            fields = zip(kind.children, value.values(), strict=True)
            return tuple(to_pyodps(child, item) for child, item in fields)
    return value


def from_pyodps(kind: OdpsType, value: Any) -> Any:
    if value is None:
        return None
    match kind.name:
        case "interval_day_time":
            return dict(zip(("sec", "nano"), divmod(value.value, 10**9), strict=True))
        case "interval_year_month":
            return value.total_months()
        case "json":
            return json.dumps(value)
        case "array" | "vector":
            return [from_pyodps(kind.children[0], item) for item in value]
        case "map":
            keys, items = kind.children
            return [(from_pyodps(keys, key), from_pyodps(items, item)) for key, item in value.items()]
        case "struct":
            cells = (from_pyodps(child, item) for child, item in zip(kind.children, value, strict=True))
            return dict(zip(kind.field_names, cells, strict=True))
    return value
