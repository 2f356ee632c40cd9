"""Column and table definitions: expressions to :class:`~aiopaiio.schema.Column`."""

from __future__ import annotations

from collections.abc import Iterable

from sqlglot import exp

from aiopaiio.errors import SchemaMismatchError
from aiopaiio.local.ddl.dialect import TYPE_TEXT
from aiopaiio.local.ddl.failures import semantic_failure, unsupported
from aiopaiio.local.ddl.statement import string_of
from aiopaiio.odps_types import parse_type
from aiopaiio.schema import Column, TableSchema

__all__ = ["columns_of", "lifecycle_of", "table_schema"]

_PLAIN_FORMATS = ("ALIORC",)


def columns_of(definitions: Iterable[exp.Expression]) -> tuple[Column, ...]:
    """The columns of ``name type [NOT NULL] [COMMENT '...'], ...``."""
    return tuple(_column(definition) for definition in definitions)


def table_schema(columns: Iterable[exp.Expression], partition_columns: Iterable[exp.Expression]) -> TableSchema:
    try:
        return TableSchema(columns_of(columns), columns_of(partition_columns))
    except SchemaMismatchError as error:
        raise semantic_failure(error.message) from None


def lifecycle_of(value: exp.Expression | None) -> int:
    """A LIFECYCLE in days."""
    if not isinstance(value, exp.Literal) or not value.name.isdecimal() or int(value.name) == 0:
        raise semantic_failure("LIFECYCLE must be a positive number of days")
    return int(value.name)


def _column(definition: exp.Expression) -> Column:
    if isinstance(definition, exp.PrimaryKey):
        raise unsupported("a table with a PRIMARY KEY")
    if not isinstance(definition, exp.ColumnDef) or definition.kind is None:
        raise semantic_failure(f"{definition.sql()} is not a column definition")
    text = definition.kind.meta.get(TYPE_TEXT) or definition.kind.sql()
    nullable, comment = True, ""
    for constraint in definition.constraints:
        kind = constraint.kind
        if isinstance(kind, exp.NotNullColumnConstraint):
            nullable = bool(kind.args.get("allow_null"))
        elif isinstance(kind, exp.CommentColumnConstraint):
            comment = string_of(kind.this, "a column's COMMENT")
        else:
            raise unsupported(f"{constraint.sql()} of column {definition.name}")
    try:
        return Column(definition.name, str(parse_type(text)), nullable, comment)
    except SchemaMismatchError as error:
        raise semantic_failure(f"column {definition.name}: {error.message}") from None
