"""Partitions: add, describe, drop, and the end of a partition's files."""

from __future__ import annotations

import sqlite3

from aiopaiio.local.storage.descriptions import Partition, TableName
from aiopaiio.local.storage.partition_values import PartitionLike, full_values, leading_values, values_of
from aiopaiio.local.storage.refusal import StoreError
from aiopaiio.local.storage.state import StoreState, spec_of
from aiopaiio.schema import TableSchema

__all__ = ["PartitionOperations"]


class PartitionOperations(StoreState):
    """Operations on the partitions of a table."""

    def add_partition(self, name: TableName, partition: PartitionLike, *, if_not_exists: bool = False) -> Partition:
        """Add an empty partition; raises StoreError ``PartitionAlreadyExists``."""
        with self._database.write() as connection:
            table = self._table_row(connection, name)
            schema = self._definition(connection, table["definition_id"])
            values = full_values(schema, partition)
            row = self._find_partition(connection, table["id"], values)
            if row is None:
                row = self._insert_partition(connection, table["id"], values)
            elif not if_not_exists:
                raise StoreError(
                    "PartitionAlreadyExists", f"the table {name} already has the partition {spec_of(values)}"
                )
            return _partition(schema, row)

    def drop_partition(self, name: TableName, partition: PartitionLike, *, if_exists: bool = False) -> None:
        """Drop a partition with its rows. Sessions that read it go on reading."""
        with self._database.write() as connection:
            table = self._table_row(connection, name)
            values = full_values(self._definition(connection, table["definition_id"]), partition)
            row = self._find_partition(connection, table["id"], values)
            if row is None and if_exists:
                return
            row = self._partition_row(connection, name, table, values)
            self._end_files(connection, "id = ?", row["id"])
            connection.execute("UPDATE partitions SET dropped = 1 WHERE id = ?", (row["id"],))
            connection.execute("UPDATE tables SET modified = ? WHERE id = ?", (self._clock(), table["id"]))

    def get_partition(self, name: TableName, partition: PartitionLike) -> Partition:
        """The partition as of now; raises StoreError ``NoSuchPartition``."""
        with self._database.read() as connection:
            table = self._table_row(connection, name)
            schema = self._definition(connection, table["definition_id"])
            return _partition(schema, self._partition_row(connection, name, table, full_values(schema, partition)))

    def list_partitions(
        self,
        name: TableName,
        *,
        prefix: PartitionLike | None = None,
        marker: str = "",
        limit: int = 1000,
        reverse: bool = False,
    ) -> tuple[list[Partition], str]:
        """Partitions in the order of their values, and the marker to go on from ("" at the end).

        ``prefix`` keeps those with the given values of some of the partition columns.
        """
        with self._database.read() as connection:
            table = self._table_row(connection, name)
            schema = self._definition(connection, table["definition_id"])
            if not schema.partition_columns:
                raise StoreError("InvalidArgument", f"the table {name} is not partitioned")
            positions = {column.name: position for position, column in enumerate(schema.partition_columns)}
            conditions, arguments = ["table_id = ?", "NOT dropped"], [table["id"]]
            for column, value in leading_values(schema, prefix) if prefix else ():
                conditions.append("json_extract(partition_values, ?) = ?")
                arguments += [f"$[{positions[column]}]", value]
            if marker:
                conditions.append(f"partition_values {'<' if reverse else '>'} ?")
                arguments.append(marker)
            rows = connection.execute(
                f"SELECT * FROM partitions WHERE {' AND '.join(conditions)}"
                f" ORDER BY partition_values {'DESC' if reverse else 'ASC'} LIMIT ?",
                (*arguments, limit + 1),
            ).fetchall()
        found = [_partition(schema, row) for row in rows[:limit]]
        return found, rows[limit - 1]["partition_values"] if len(rows) > limit else ""


def _partition(schema: TableSchema, row: sqlite3.Row) -> Partition:
    return Partition(
        values=values_of(schema, row["partition_values"]),
        created=row["created"],
        modified=row["modified"],
        ddl_modified=row["ddl_modified"],
        size=row["size"],
        row_count=row["row_count"],
    )
