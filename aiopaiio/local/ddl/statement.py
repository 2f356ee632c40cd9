"""What a statement runs in, what it gives, and how the names in it are resolved."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlglot import exp

from aiopaiio.local.ddl.failures import semantic_failure, unsupported
from aiopaiio.local.storage import Download, Store, TableName

__all__ = ["Message", "ResultSet", "Surroundings", "partition_of", "string_of"]


@dataclass(frozen=True, slots=True)
class Message:
    """A statement's result as text: ``OK``, or what DESC and SHOW print."""

    text: str


@dataclass(frozen=True, slots=True)
class ResultSet:
    """A SELECT's result: a download session on its rows, taken when the statement ran."""

    download: Download


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The store and the defaults of the client that sent the statement."""

    store: Store
    project: str
    schema: str | None
    settings: Mapping[str, str]
    owner: str

    def table_name(self, table: exp.Expression | None) -> TableName:
        """``table``, ``project.table``, ``project.schema.table``; with namespace schemas on also ``schema.table``."""
        if isinstance(table, exp.Schema):
            table = table.this
        if not isinstance(table, exp.Table) or not isinstance(table.this, exp.Identifier):
            raise unsupported("a statement without a plain table name")
        if table.catalog:
            return TableName(table.catalog, table.db, table.name)
        if table.db and self.settings.get("odps.namespace.schema", "").lower() == "true":
            return TableName(self.project, table.db, table.name)
        return TableName(table.db or self.project, None if table.db else self.schema, table.name)

    def schema_name(self, table: exp.Expression | None) -> tuple[str, str]:
        """(project, schema) of ``schema`` or ``project.schema``."""
        if not isinstance(table, exp.Table) or not table.db:
            raise unsupported("a statement without a plain schema name")
        return table.catalog or self.project, table.db


def partition_of(partition: exp.Expression | None) -> dict[str, str]:
    """``PARTITION (ds='1', hh=2)`` as a mapping."""
    values: dict[str, str] = {}
    if not isinstance(partition, exp.Partition):
        raise semantic_failure("a partition is written PARTITION (column='value', ...)")
    for equation in partition.expressions:
        name, value = equation.this, equation.expression if isinstance(equation, exp.EQ) else None
        if not isinstance(name, exp.Column) or name.table or not isinstance(value, exp.Literal):
            raise semantic_failure(f"{equation.sql()} is not of the form column='value'")
        if values.setdefault(name.name.lower(), value.name) != value.name:
            raise semantic_failure(f"the partition column {name.name} is given twice")
    return values


def string_of(literal: exp.Expression | None, what: str) -> str:
    """The text of a string literal."""
    if not isinstance(literal, exp.Literal) or not literal.is_string:
        raise semantic_failure(f"{what} must be a string literal")
    return str(literal.this)
