"""The metadata: one SQLite database in write-ahead mode, and its tables.

How the rows of a partition are known: every file of a committed upload belongs to one partition and lives from version
``added`` up to, not including, version ``removed`` of it. A session remembers (partition, version), so a snapshot costs
one row whatever the number of files, and a file may go when no session's version lies in its life.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from aiopaiio.local.storage.file_lock import exclusive_section
from aiopaiio.local.storage.refusal import StoreError

__all__ = ["Database"]

_FORMAT = 1
_BUSY_TIMEOUT_SECONDS = 60.0

_TABLES = """
CREATE TABLE namespaces (
    project TEXT NOT NULL, name TEXT NOT NULL, created REAL NOT NULL,
    PRIMARY KEY (project, name)
) WITHOUT ROWID;

-- Column lists, shared by tables and sessions, as the JSON of the Tunnel protocol.
CREATE TABLE definitions (id INTEGER PRIMARY KEY AUTOINCREMENT, text TEXT NOT NULL);

CREATE TABLE tables (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    project TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL,
    definition_id INTEGER NOT NULL,
    owner TEXT NOT NULL, comment TEXT NOT NULL, lifecycle INTEGER NOT NULL, properties TEXT NOT NULL,
    created REAL NOT NULL, modified REAL NOT NULL, ddl_modified REAL NOT NULL,
    UNIQUE (project, namespace, name)
);

-- An unpartitioned table has one row here, with no values. A dropped one stays while its files are in use.
CREATE TABLE partitions (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    table_id INTEGER NOT NULL,
    partition_values TEXT NOT NULL,
    version INTEGER NOT NULL, row_count INTEGER NOT NULL, size INTEGER NOT NULL,
    created REAL NOT NULL, modified REAL NOT NULL, ddl_modified REAL NOT NULL,
    dropped INTEGER NOT NULL DEFAULT 0
);
CREATE UNIQUE INDEX live_partitions ON partitions (table_id, partition_values) WHERE NOT dropped;

CREATE TABLE downloads (
    id TEXT PRIMARY KEY,
    project TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL, partition_spec TEXT NOT NULL,
    definition_id INTEGER NOT NULL, row_count INTEGER NOT NULL, created REAL NOT NULL, expires REAL NOT NULL
) WITHOUT ROWID;

-- What a session reads, in order. constants: JSON object of partition columns served as ordinary ones.
CREATE TABLE download_partitions (
    download_id TEXT NOT NULL, position INTEGER NOT NULL,
    partition_id INTEGER NOT NULL, version INTEGER NOT NULL, constants TEXT NOT NULL,
    PRIMARY KEY (download_id, position)
) WITHOUT ROWID;
CREATE INDEX download_versions ON download_partitions (partition_id, version);

CREATE TABLE uploads (
    id TEXT PRIMARY KEY,
    project TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL, partition_spec TEXT NOT NULL,
    table_id INTEGER NOT NULL, partition_id INTEGER NOT NULL, definition_id INTEGER NOT NULL,
    overwrite INTEGER NOT NULL, status TEXT NOT NULL, created REAL NOT NULL, expires REAL NOT NULL
) WITHOUT ROWID;

CREATE TABLE blocks (
    upload_id TEXT NOT NULL, block_id INTEGER NOT NULL,
    row_count INTEGER NOT NULL, size INTEGER NOT NULL, created REAL NOT NULL,
    PRIMARY KEY (upload_id, block_id)
) WITHOUT ROWID;

-- batch_rows: run lengths of the record batches inside. wide_columns: JSON list of columns with wide timestamps.
CREATE TABLE files (
    id TEXT PRIMARY KEY,
    upload_id TEXT NOT NULL, block_id INTEGER NOT NULL, part INTEGER NOT NULL,
    row_count INTEGER NOT NULL, size INTEGER NOT NULL, batch_rows BLOB NOT NULL, wide_columns TEXT NOT NULL,
    partition_id INTEGER, added INTEGER, removed INTEGER
);
CREATE INDEX files_of_partition ON files (partition_id, added, block_id, part);
CREATE INDEX files_of_block ON files (upload_id, block_id);
CREATE INDEX removed_files ON files (partition_id, removed) WHERE removed IS NOT NULL;
"""


class Database:
    """A pool of connections. Reads see one state; writes take turns, among threads and among processes."""

    def __init__(self, root: Path) -> None:
        self._path = root / "metadata.sqlite3"
        self._process_id = os.getpid()
        self._idle: list[sqlite3.Connection] = []
        self._closed = False
        self._pool_lock = threading.Lock()
        # Threads of one process wait here rather than in SQLite, which polls.
        self._writer_lock = threading.Lock()
        with exclusive_section(root / "opening.lock"):
            self._prepare()

    def _prepare(self) -> None:
        connection = self._connect()
        try:
            (found,) = connection.execute("PRAGMA user_version").fetchone()
            if found == 0:
                connection.execute("PRAGMA journal_mode = WAL")
                connection.executescript(f"BEGIN; {_TABLES} PRAGMA user_version = {_FORMAT}; COMMIT;")
            elif found != _FORMAT:
                raise StoreError(
                    "InternalServerError",
                    f"{self._path.parent} holds storage format {found}; this version reads format {_FORMAT}",
                )
        except BaseException:
            connection.close()
            raise
        self._idle.append(connection)

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self._path, timeout=_BUSY_TIMEOUT_SECONDS, isolation_level=None, check_same_thread=False
        )
        connection.row_factory = sqlite3.Row
        return connection

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        if os.getpid() != self._process_id:
            # SQLite connections and locks do not survive a fork.
            raise StoreError("InternalServerError", "the store was opened before fork; open it again in this process")
        with self._pool_lock:
            if self._closed:
                raise StoreError("InternalServerError", "the store is closed")
            connection = self._idle.pop() if self._idle else None
        if connection is None:
            connection = self._connect()
        try:
            yield connection
        finally:
            with self._pool_lock:
                keep = not self._closed and not connection.in_transaction
                if keep:
                    self._idle.append(connection)
            if not keep:
                connection.close()

    @contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """A connection that sees one state of the metadata throughout."""
        with self._connection() as connection, _transaction(connection, "BEGIN"):
            yield connection

    @contextmanager
    def write(self, *, durable: bool = True) -> Iterator[sqlite3.Connection]:
        """One transaction: all of it or, when an exception leaves the block, nothing.

        ``durable`` False leaves out the wait for the disk: the change survives the end of the process but perhaps not a
        power failure. It is for what is worthless without a later durable change, such as sessions.
        """
        with self._writer_lock, self._connection() as connection:
            connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
            with _transaction(connection, "BEGIN IMMEDIATE"):
                yield connection

    def close(self) -> None:
        """Close idle connections now and busy ones when they come back."""
        if os.getpid() != self._process_id:
            return
        with self._pool_lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()


@contextmanager
def _transaction(connection: sqlite3.Connection, begin: str) -> Iterator[None]:
    connection.execute(begin)
    try:
        yield
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")
