"""What all operations of the store share: the open database, the data files, the clock, and the look-ups."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable
from functools import lru_cache

from aiopaiio.errors import SchemaMismatchError
from aiopaiio.local.storage.data_files import DataFiles
from aiopaiio.local.storage.database import Database
from aiopaiio.local.storage.descriptions import TableName
from aiopaiio.local.storage.partition_values import PartitionLike, Values, full_values, key_of
from aiopaiio.local.storage.refusal import StoreError
from aiopaiio.schema import TableSchema

__all__ = ["SESSION_SECONDS", "StoreState"]

SESSION_SECONDS = 24 * 3600.0
"""Life of a download or upload session (public documentation of the service)."""


class StoreState:
    """Open resources and look-ups; the operations are in the classes that inherit from it."""

    def __init__(self, database: Database, files: DataFiles, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._files = files
        self._clock = clock
        # Definitions never change, so they may be remembered for ever.
        self._parse_definition = lru_cache(maxsize=256)(_parse_definition)

    def _definition(self, connection: sqlite3.Connection, definition_id: int) -> TableSchema:
        (text,) = connection.execute("SELECT text FROM definitions WHERE id = ?", (definition_id,)).fetchone()
        return self._parse_definition(text)

    def _add_definition(self, connection: sqlite3.Connection, schema: TableSchema) -> int:
        text = json.dumps(schema.to_tunnel_json(), ensure_ascii=False, separators=(",", ":"))
        row_id = connection.execute("INSERT INTO definitions (text) VALUES (?)", (text,)).lastrowid
        assert row_id is not None
        return row_id

    def _table_row(self, connection: sqlite3.Connection, name: TableName) -> sqlite3.Row:
        row = self._find_table(connection, name)
        if row is None:
            raise StoreError("NoSuchTable", f"the table {name} does not exist")
        return row

    @staticmethod
    def _find_table(connection: sqlite3.Connection, name: TableName) -> sqlite3.Row | None:
        row: sqlite3.Row | None = connection.execute(
            "SELECT * FROM tables WHERE project = ? AND namespace = ? AND name = ?",
            (name.project, name.schema, name.table),
        ).fetchone()
        return row

    @staticmethod
    def _find_partition(connection: sqlite3.Connection, table_id: int, values: Values) -> sqlite3.Row | None:
        row: sqlite3.Row | None = connection.execute(
            "SELECT * FROM partitions WHERE table_id = ? AND partition_values = ? AND NOT dropped",
            (table_id, key_of(values)),
        ).fetchone()
        return row

    def _partition_row(
        self, connection: sqlite3.Connection, name: TableName, table: sqlite3.Row, values: Values
    ) -> sqlite3.Row:
        row = self._find_partition(connection, table["id"], values)
        if row is None:
            raise StoreError("NoSuchPartition", f"the table {name} has no partition {spec_of(values)}")
        return row

    def _target_values(self, name: TableName, schema: TableSchema, partition: PartitionLike | None) -> Values:
        """The values of the one partition that a session reads or writes; () for an unpartitioned table."""
        if partition is not None and partition != "":
            return full_values(schema, partition)
        if schema.partition_columns:
            names = ", ".join(column.name for column in schema.partition_columns)
            raise StoreError("MissingPartitionSpec", f"the table {name} is partitioned by {names}: name a partition")
        return ()

    def _insert_partition(self, connection: sqlite3.Connection, table_id: int, values: Values) -> sqlite3.Row:
        now = self._clock()
        connection.execute(
            "INSERT INTO partitions (table_id, partition_values, version, row_count, size, created, modified,"
            " ddl_modified) VALUES (?, ?, 0, 0, 0, ?, ?, ?)",
            (table_id, key_of(values), now, now, now),
        )
        row = self._find_partition(connection, table_id, values)
        assert row is not None
        return row

    def _end_files(self, connection: sqlite3.Connection, condition: str, argument: int) -> None:
        """Begin an empty version of the live partitions that meet ``condition``; older versions keep their files."""
        which = f"{condition} AND NOT dropped"
        connection.execute(
            f"UPDATE partitions SET version = version + 1, row_count = 0, size = 0, modified = ? WHERE {which}",
            (self._clock(), argument),
        )
        connection.execute(
            "UPDATE files SET removed = (SELECT version FROM partitions WHERE id = files.partition_id)"
            f" WHERE removed IS NULL AND partition_id IN (SELECT id FROM partitions WHERE {which})",
            (argument,),
        )


def spec_of(values: Values) -> str:
    """``ds=1,hh=2``; "" for the values of an unpartitioned table."""
    return ",".join(f"{name}={value}" for name, value in values)


def _parse_definition(text: str) -> TableSchema:
    try:
        return TableSchema.from_tunnel_json(json.loads(text))
    except SchemaMismatchError as error:
        raise StoreError("InternalServerError", f"a stored table definition cannot be read: {error}") from error
