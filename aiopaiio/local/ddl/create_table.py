"""CREATE TABLE."""

from __future__ import annotations

from dataclasses import dataclass, field

from sqlglot import exp

from aiopaiio.local.ddl.definitions import lifecycle_of, table_schema
from aiopaiio.local.ddl.failures import unsupported
from aiopaiio.local.ddl.statement import Message, Surroundings, string_of

__all__ = ["create"]

_REFUSED = {
    "replace": "CREATE OR REPLACE TABLE",
    "expression": "CREATE TABLE ... AS SELECT",
    "clone": "CREATE TABLE ... CLONE",
    "indexes": "an index",
}


@dataclass(slots=True)
class _Options:
    """What stands behind the columns."""

    comment: str = ""
    lifecycle: int = -1
    properties: dict[str, str] = field(default_factory=dict)
    partition_columns: list[exp.Expression] = field(default_factory=list)
    like: exp.Expression | None = None


def create(statement: exp.Create, around: Surroundings) -> Message:
    """CREATE TABLE [IF NOT EXISTS] ... and CREATE SCHEMA [IF NOT EXISTS] ..."""
    kind = str(statement.kind or "").upper()
    exists = bool(statement.args.get("exists"))
    if kind in ("SCHEMA", "DATABASE"):
        around.store.create_schema(*around.schema_name(statement.this), if_not_exists=exists)
        return Message("OK")
    if kind != "TABLE":
        raise unsupported(f"CREATE {kind}")
    for key, what in _REFUSED.items():
        if statement.args.get(key):
            raise unsupported(what)
    options = _options(statement)
    name = around.table_name(statement.this)
    if options.like is not None:
        schema = around.store.get_table(around.table_name(options.like)).schema
    elif isinstance(statement.this, exp.Schema):
        schema = table_schema(statement.this.expressions, options.partition_columns)
    else:
        raise unsupported("CREATE TABLE without columns")
    around.store.create_table(
        name,
        schema,
        if_not_exists=exists,
        comment=options.comment,
        lifecycle=options.lifecycle,
        properties=options.properties,
        owner=around.owner,
    )
    return Message("OK")


def _options(statement: exp.Create) -> _Options:
    options = _Options()
    properties = statement.args.get("properties")
    for entry in properties.expressions if properties else ():
        match entry:
            case exp.SchemaCommentProperty():
                options.comment = string_of(entry.this, "COMMENT")
            case exp.PartitionedByProperty(this=exp.Schema() as columns):
                options.partition_columns = columns.expressions
            case exp.LikeProperty():
                options.like = entry.this
            case exp.FileFormatProperty() if entry.name.upper() == "ALIORC":
                pass  # the service's own format: rows are kept here in another way, and nobody can tell
            case exp.Property(this=exp.Var()) if entry.name.upper() == "LIFECYCLE":
                options.lifecycle = lifecycle_of(entry.args.get("value"))
            case exp.Property(this=exp.Literal()):
                options.properties[entry.name] = string_of(entry.args.get("value"), "a table property")
            case _:
                raise unsupported(f"{entry.sql(dialect='hive')} in CREATE TABLE")
    return options
