"""Runs a text of SQL statements one after the other."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sqlglot import exp

from aiopaiio.local.ddl.alter_table import alter, drop, truncate
from aiopaiio.local.ddl.create_table import create
from aiopaiio.local.ddl.describe import describe, show, show_partitions
from aiopaiio.local.ddl.dialect import ShowPartitions, parse_statements
from aiopaiio.local.ddl.failures import parse_failure, task_failure, unsupported
from aiopaiio.local.ddl.select import select
from aiopaiio.local.ddl.statement import Message, ResultSet, Surroundings
from aiopaiio.local.storage import Store, StoreError

__all__ = ["execute"]

_RUNNERS: dict[type[exp.Expression], Callable[[Any, Surroundings], Message | ResultSet]] = {
    exp.Create: create,
    exp.Drop: drop,
    exp.Alter: alter,
    exp.TruncateTable: truncate,
    exp.Select: select,
    exp.Describe: describe,
    exp.Show: show,
    ShowPartitions: show_partitions,
    # Settings of the SQL engine; none of them changes what is done here.
    exp.Set: lambda statement, around: Message("OK"),
}


def execute(
    store: Store,
    project: str,
    sql: str,
    *,
    schema: str | None = None,
    settings: Mapping[str, str] | None = None,
    owner: str = "",
) -> Message | ResultSet:
    """Run the statements of ``sql`` and return the result of the last.

    ``project`` and ``schema`` (None: ``default``) hold the tables that are named without them. ``settings`` are the
    hints sent along; with ``odps.namespace.schema=true`` a name ``a.b`` is a schema and a table, else a project and a
    table.

    Raises StoreError; its message is the text of the failed task, ``ODPS-NNNNNNN:...``. Statements before the one that
    failed stay done.
    """
    statements = parse_statements(sql)
    if not statements:
        raise parse_failure("the statement is empty")
    around = Surroundings(store, project, schema, settings or {}, owner)
    result: Message | ResultSet = Message("OK")
    try:
        for statement in statements:
            runner = _RUNNERS.get(type(statement))
            if runner is None:
                raise unsupported(_opening(statement))
            result = runner(statement, around)
    except StoreError as error:
        raise task_failure(error) from None
    return result


def _opening(statement: exp.Expression) -> str:
    text = " ".join(statement.sql(dialect="hive").split())
    return text if len(text) <= 60 else text[:57] + "..."
