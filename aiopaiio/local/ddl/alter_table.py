"""ALTER TABLE, DROP and TRUNCATE."""

from __future__ import annotations

from sqlglot import exp

from aiopaiio.local.ddl.definitions import columns_of, lifecycle_of
from aiopaiio.local.ddl.dialect import Touch
from aiopaiio.local.ddl.failures import unsupported
from aiopaiio.local.ddl.statement import Message, Surroundings, partition_of, string_of
from aiopaiio.local.storage import TableName

__all__ = ["alter", "drop", "truncate"]


def alter(statement: exp.Alter, around: Surroundings) -> Message:
    """ALTER TABLE with one of the supported actions, or several of one kind."""
    actions = statement.args["actions"] or []
    if statement.args.get("kind") != "TABLE" or not actions or statement.args.get("options"):
        raise unsupported(statement.sql(dialect="hive"))
    name = around.table_name(statement.this)
    for action in actions:
        _apply(action, name, around)
    return Message("OK")


def _apply(action: exp.Expression, name: TableName, around: Surroundings) -> None:
    store = around.store
    match action:
        case exp.AddPartition():
            exists = bool(action.args.get("exists"))
            store.add_partition(name, partition_of(action.this), if_not_exists=exists)
        case exp.DropPartition():
            for partition in action.expressions:
                store.drop_partition(name, partition_of(partition), if_exists=bool(action.args.get("exists")))
        case exp.Schema():
            store.add_columns(name, columns_of(action.expressions), if_not_exists=action.meta.get("exists", False))
        case exp.AlterRename():
            target = action.this
            if target.db and target.db.lower() not in (name.project, name.schema):
                raise unsupported("a rename into another project or schema")
            store.rename_table(name, target.name)
        case Touch():
            store.touch(name, partition_of(action.this) if action.this else None)
        case exp.AlterSet():
            for entry in action.expressions:
                for setting in entry.expressions if isinstance(entry, exp.Properties) else [entry]:
                    _set(setting, name, around)
        case _:
            raise unsupported(f"ALTER TABLE ... {action.sql(dialect='hive')}")


def _set(setting: exp.Expression, name: TableName, around: Surroundings) -> None:
    match setting:
        case exp.SchemaCommentProperty():
            around.store.set_comment(name, string_of(setting.this, "COMMENT"))
        case exp.Property(this=exp.Var()) if setting.name.upper() == "LIFECYCLE":
            around.store.set_lifecycle(name, lifecycle_of(setting.args.get("value")))
        case exp.Property(this=exp.Literal()):
            value = string_of(setting.args.get("value"), "a table property")
            around.store.set_properties(name, {setting.name: value})
        case _:
            raise unsupported(f"ALTER TABLE ... SET {setting.sql(dialect='hive')}")


def drop(statement: exp.Drop, around: Surroundings) -> Message:
    """DROP TABLE [IF EXISTS] ... and DROP SCHEMA [IF EXISTS] ..."""
    kind = str(statement.args.get("kind") or "").upper()
    exists = bool(statement.args.get("exists"))
    targets = statement.args.get("tables") or [statement.this]
    if kind not in ("TABLE", "SCHEMA", "DATABASE") or len(targets) != 1:
        raise unsupported(f"DROP {kind}" if len(targets) == 1 else "DROP of several at once")
    if kind == "TABLE":
        around.store.drop_table(around.table_name(targets[0]), if_exists=exists)
    else:
        around.store.drop_schema(*around.schema_name(targets[0]), if_exists=exists)
    return Message("OK")


def truncate(statement: exp.TruncateTable, around: Surroundings) -> Message:
    """TRUNCATE TABLE ... [PARTITION (...)]."""
    if len(statement.expressions) != 1:
        raise unsupported("TRUNCATE of several tables at once")
    partition = statement.args.get("partition")
    name = around.table_name(statement.expressions[0])
    around.store.truncate(name, partition_of(partition) if partition else None)
    return Message("OK")
