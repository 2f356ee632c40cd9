"""DESC and SHOW: what the store knows, as text."""

from __future__ import annotations

import re
import time

from sqlglot import exp

from aiopaiio.local.ddl.dialect import ShowPartitions
from aiopaiio.local.ddl.failures import unsupported
from aiopaiio.local.ddl.statement import Message, Surroundings, partition_of, string_of
from aiopaiio.local.storage import Partition, Table
from aiopaiio.schema import Column

__all__ = ["describe", "show", "show_partitions"]


def describe(statement: exp.Describe, around: Surroundings) -> Message:
    """DESC [EXTENDED] table [PARTITION (...)]."""
    if not isinstance(statement.this, exp.Table):
        raise unsupported("DESC of anything but a table")
    name = around.table_name(statement.this)
    partition = statement.args.get("partition")
    if partition:
        return Message(_partition_text(around.store.get_partition(name, partition_of(partition))))
    return Message(_table_text(around.store.get_table(name)))


def show(statement: exp.Show, around: Surroundings) -> Message:
    """SHOW TABLES [IN schema] [LIKE 'prefix*'] and SHOW SCHEMAS."""
    if statement.name == "SCHEMAS":
        return Message("\n".join(around.store.list_schemas(around.project)))
    return Message(_tables_text(statement, around))


def _tables_text(statement: exp.Show, around: Surroundings) -> str:
    place = statement.args.get("db")
    project, schema = around.project, around.schema
    if place is not None:
        namespace_on = around.settings.get("odps.namespace.schema", "").lower() == "true"
        project = place.db or (project if namespace_on else place.name)
        schema = place.name if place.db or namespace_on else None
    like = statement.args.get("like")
    pattern = re.escape(string_of(like, "LIKE").lower()).replace(r"\*", ".*").replace("%", ".*") if like else ".*"
    lines, marker = [], ""
    while True:
        tables, marker = around.store.list_tables(project, schema, marker=marker)
        lines += [f"{table.owner}:{table.name.table}" for table in tables if re.fullmatch(pattern, table.name.table)]
        if not marker:
            return "\n".join(lines)


def show_partitions(statement: ShowPartitions, around: Surroundings) -> Message:
    """SHOW PARTITIONS table [PARTITION (...)]: one line for each, as a path."""
    name = around.table_name(statement.this)
    partition = statement.args.get("partition")
    prefix = partition_of(partition) if partition else None
    lines, marker = [], ""
    while True:
        page, marker = around.store.list_partitions(name, prefix=prefix, marker=marker)
        lines += ["/".join(f"{column}={value}" for column, value in found.values) for found in page]
        if not marker:
            return Message("\n".join(lines))


def _table_text(table: Table) -> str:
    lines = [
        f"Owner: {table.owner}",
        f"Project: {table.name.project}",
        f"Schema: {table.name.schema}",
        f"TableComment: {table.comment}",
        f"CreateTime: {_moment(table.created)}",
        f"LastDDLTime: {_moment(table.ddl_modified)}",
        f"LastModifiedTime: {_moment(table.modified)}",
        f"Lifecycle: {table.lifecycle}",
        f"InternalTable: YES | Size: {table.size} | RecordNum: {table.row_count}",
        "Native Columns:",
        *map(_column_text, table.schema.columns),
    ]
    if table.schema.partition_columns:
        lines += ["Partition Columns:", *map(_column_text, table.schema.partition_columns)]
    return "\n".join(lines)


def _partition_text(partition: Partition) -> str:
    return "\n".join(
        [
            f"Partition: {partition.quoted_spec}",
            f"PartitionSize: {partition.size}",
            f"PartitionRecordNum: {partition.row_count}",
            f"CreateTime: {_moment(partition.created)}",
            f"LastDDLTime: {_moment(partition.ddl_modified)}",
            f"LastModifiedTime: {_moment(partition.modified)}",
        ]
    )


def _column_text(column: Column) -> str:
    return f"{column.name} | {column.type} | {'true' if column.nullable else 'false'} | {column.comment}"


def _moment(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(seconds))
