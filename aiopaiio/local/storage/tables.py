"""Tables and schemas: create, describe, change, drop."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence

from aiopaiio.errors import SchemaMismatchError
from aiopaiio.local.storage.descriptions import DEFAULT_SCHEMA, Table, TableName, check_name
from aiopaiio.local.storage.partition_values import PARTITION_TYPES, PartitionLike, full_values
from aiopaiio.local.storage.refusal import StoreError
from aiopaiio.local.storage.state import StoreState
from aiopaiio.schema import Column, TableSchema, arrow_schema

__all__ = ["TableOperations"]

_MAX_PARTITION_LEVELS = 6
_DESCRIBE = """
    SELECT t.*, COALESCE(SUM(p.row_count), 0) AS row_count, COALESCE(SUM(p.size), 0) AS size
    FROM tables t LEFT JOIN partitions p ON p.table_id = t.id AND NOT p.dropped
"""


class TableOperations(StoreState):
    """Operations on whole tables and on the schemas that hold them. Projects exist as soon as they are named."""

    def create_table(
        self,
        name: TableName,
        schema: TableSchema,
        *,
        if_not_exists: bool = False,
        comment: str = "",
        lifecycle: int = -1,
        properties: Mapping[str, str] | None = None,
        owner: str = "",
    ) -> Table:
        """Create a table. ``lifecycle`` is days, kept but not acted upon; -1 is none.

        Raises StoreError ``TableAlreadyExists``, ``NoSuchSchema``, or ``InvalidArgument``.
        """
        _check_definition(schema)
        with self._database.write() as connection:
            self._check_schema(connection, name.project, name.schema or DEFAULT_SCHEMA)
            if self._find_table(connection, name) is None:
                now = self._clock()
                row_id = connection.execute(
                    "INSERT INTO tables (project, namespace, name, definition_id, owner, comment, lifecycle,"
                    " properties, created, modified, ddl_modified) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    (
                        *(name.project, name.schema, name.table, self._add_definition(connection, schema)),
                        *(owner, comment, lifecycle, json.dumps(dict(properties or {})), now, now, now),
                    ),
                ).lastrowid
                if not schema.partition_columns:
                    assert row_id is not None
                    self._insert_partition(connection, row_id, ())
            elif not if_not_exists:
                raise StoreError("TableAlreadyExists", f"the table {name} already exists")
            return self._describe(connection, name)

    def get_table(self, name: TableName) -> Table:
        """The table as of now; raises StoreError ``NoSuchTable``."""
        with self._database.read() as connection:
            return self._describe(connection, name)

    def exist_table(self, name: TableName) -> bool:
        with self._database.read() as connection:
            return self._find_table(connection, name) is not None

    def list_tables(
        self, project: str, schema: str | None = None, *, prefix: str = "", marker: str = "", limit: int = 1000
    ) -> tuple[list[Table], str]:
        """Tables of one schema by name, and the marker to go on from; the marker is "" at the end."""
        with self._database.read() as connection:
            rows = connection.execute(
                f"{_DESCRIBE} WHERE t.project = ? AND t.namespace = ? AND t.name > ? AND substr(t.name, 1, ?) = ?"
                " GROUP BY t.id ORDER BY t.name LIMIT ?",
                (project.lower(), (schema or DEFAULT_SCHEMA).lower(), marker, len(prefix), prefix.lower(), limit + 1),
            ).fetchall()
            tables = [self._table(connection, row) for row in rows[:limit]]
        return tables, tables[-1].name.table if len(rows) > limit else ""

    def drop_table(self, name: TableName, *, if_exists: bool = False) -> None:
        """Drop a table. Sessions that read it go on reading."""
        with self._database.write() as connection:
            table = self._find_table(connection, name)
            if table is not None:
                self._end_files(connection, "table_id = ?", table["id"])
                connection.execute("UPDATE partitions SET dropped = 1 WHERE table_id = ?", (table["id"],))
                connection.execute("DELETE FROM tables WHERE id = ?", (table["id"],))
            elif not if_exists:
                raise StoreError("NoSuchTable", f"the table {name} does not exist")

    def truncate(self, name: TableName, partition: PartitionLike | None = None) -> None:
        """Remove all rows of the table, or of one partition."""
        with self._database.write() as connection:
            table = self._table_row(connection, name)
            if partition is None:
                self._end_files(connection, "table_id = ?", table["id"])
            else:
                values = full_values(self._definition(connection, table["definition_id"]), partition)
                self._end_files(connection, "id = ?", self._partition_row(connection, name, table, values)["id"])
            connection.execute("UPDATE tables SET modified = ? WHERE id = ?", (self._clock(), table["id"]))

    def rename_table(self, name: TableName, new_name: str) -> None:
        """Give the table another name in the same schema."""
        target = TableName(name.project, name.schema, new_name)
        with self._database.write() as connection:
            table = self._table_row(connection, name)
            if target == name:
                return
            if self._find_table(connection, target) is not None:
                raise StoreError("TableAlreadyExists", f"the table {target} already exists")
            self._change(connection, table, "name = ?", target.table)

    def add_columns(self, name: TableName, columns: Sequence[Column], *, if_not_exists: bool = False) -> None:
        """Append columns; rows written before have NULL in them, so they must allow it."""
        with self._database.write() as connection:
            table = self._table_row(connection, name)
            schema = self._definition(connection, table["definition_id"])
            taken = {column.name for column in (*schema.columns, *schema.partition_columns)}
            new = [column for column in columns if not (if_not_exists and column.name in taken)]
            for column in new:
                if not column.nullable:
                    raise StoreError("InvalidArgument", f"the added column {column.name} cannot be NOT NULL")
                if column.name in taken:
                    raise StoreError("InvalidArgument", f"the table {name} has a column {column.name} already")
                taken.add(column.name)
            if new:
                schema = TableSchema((*schema.columns, *new), schema.partition_columns)
                _check_definition(schema)
                self._change(connection, table, "definition_id = ?", self._add_definition(connection, schema))

    def set_lifecycle(self, name: TableName, days: int) -> None:
        with self._database.write() as connection:
            self._change(connection, self._table_row(connection, name), "lifecycle = ?", days)

    def set_comment(self, name: TableName, text: str) -> None:
        with self._database.write() as connection:
            self._change(connection, self._table_row(connection, name), "comment = ?", text)

    def set_properties(self, name: TableName, properties: Mapping[str, str]) -> None:
        """Add or replace table properties."""
        with self._database.write() as connection:
            table = self._table_row(connection, name)
            merged = {**json.loads(table["properties"]), **properties}
            self._change(connection, table, "properties = ?", json.dumps(merged))

    def touch(self, name: TableName, partition: PartitionLike | None = None) -> None:
        """Set the time of last modification of the table, or of one partition, to now."""
        with self._database.write() as connection:
            table = self._table_row(connection, name)
            now = self._clock()
            if partition is not None:
                values = full_values(self._definition(connection, table["definition_id"]), partition)
                row = self._partition_row(connection, name, table, values)
                connection.execute("UPDATE partitions SET modified = ? WHERE id = ?", (now, row["id"]))
            connection.execute("UPDATE tables SET modified = ? WHERE id = ?", (now, table["id"]))

    def list_projects(self) -> list[str]:
        """Projects that hold a table or a schema."""
        with self._database.read() as connection:
            rows = connection.execute("SELECT project FROM tables UNION SELECT project FROM namespaces ORDER BY 1")
            return [project for (project,) in rows]

    def create_schema(self, project: str, name: str, *, if_not_exists: bool = False) -> None:
        key = check_name("project", project), check_name("schema", name)
        with self._database.write() as connection:
            if not _schema_exists(connection, *key):
                connection.execute("INSERT INTO namespaces VALUES (?, ?, ?)", (*key, self._clock()))
            elif not if_not_exists:
                raise StoreError("SchemaAlreadyExists", f"the schema {key[0]}.{key[1]} already exists")

    def drop_schema(self, project: str, name: str, *, if_exists: bool = False) -> None:
        """Drop an empty schema; ``default`` always exists."""
        key = project.lower(), name.lower()
        with self._database.write() as connection:
            if if_exists and not _schema_exists(connection, *key):
                return
            self._check_schema(connection, *key)
            held = connection.execute("SELECT 1 FROM tables WHERE project = ? AND namespace = ?", key).fetchone()
            if held or key[1] == DEFAULT_SCHEMA:
                raise StoreError("InvalidArgument", f"the schema {key[0]}.{key[1]} is not empty or is the default one")
            connection.execute("DELETE FROM namespaces WHERE project = ? AND name = ?", key)

    def list_schemas(self, project: str) -> list[str]:
        with self._database.read() as connection:
            rows = connection.execute("SELECT name FROM namespaces WHERE project = ?", (project.lower(),)).fetchall()
        return sorted({DEFAULT_SCHEMA, *(name for (name,) in rows)})

    @staticmethod
    def _check_schema(connection: sqlite3.Connection, project: str, schema: str) -> None:
        if not _schema_exists(connection, project, schema):
            raise StoreError("NoSuchSchema", f"the project {project} has no schema {schema}")

    def _change(self, connection: sqlite3.Connection, table: sqlite3.Row, assignment: str, value: object) -> None:
        connection.execute(
            f"UPDATE tables SET {assignment}, ddl_modified = ? WHERE id = ?", (value, self._clock(), table["id"])
        )

    def _describe(self, connection: sqlite3.Connection, name: TableName) -> Table:
        row = self._table_row(connection, name)
        return self._table(connection, connection.execute(f"{_DESCRIBE} WHERE t.id = ?", (row["id"],)).fetchone())

    def _table(self, connection: sqlite3.Connection, row: sqlite3.Row) -> Table:
        return Table(
            name=TableName(row["project"], row["namespace"], row["name"]),
            id=str(row["id"]),
            schema=self._definition(connection, row["definition_id"]),
            owner=row["owner"],
            comment=row["comment"],
            lifecycle=row["lifecycle"],
            properties=json.loads(row["properties"]),
            created=row["created"],
            modified=row["modified"],
            ddl_modified=row["ddl_modified"],
            size=row["size"],
            row_count=row["row_count"],
        )


def _schema_exists(connection: sqlite3.Connection, project: str, schema: str) -> bool:
    query = "SELECT 1 FROM namespaces WHERE project = ? AND name = ?"
    return schema == DEFAULT_SCHEMA or connection.execute(query, (project, schema)).fetchone() is not None


def _check_definition(schema: TableSchema) -> None:
    if not schema.columns:
        raise StoreError("InvalidArgument", "a table needs at least one column that is not a partition column")
    try:
        arrow_schema((*schema.columns, *schema.partition_columns))
    except SchemaMismatchError as error:
        raise StoreError("InvalidArgument", error.message) from None
    for column in schema.partition_columns:
        if column.odps_type.name not in PARTITION_TYPES:
            raise StoreError(
                "InvalidArgument",
                f"the partition column {column.name} cannot be {column.type.upper()}; "
                f"possible are {', '.join(PARTITION_TYPES).upper()}",
            )
    if len(schema.partition_columns) > _MAX_PARTITION_LEVELS:
        raise StoreError("InvalidArgument", f"a table has at most {_MAX_PARTITION_LEVELS} partition columns")
