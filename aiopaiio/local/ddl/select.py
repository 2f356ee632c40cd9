"""SELECT of columns from one table, by conditions on its partition columns."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any

import pyarrow as pa
from sqlglot import exp

from aiopaiio.local.ddl.failures import semantic_failure, unsupported
from aiopaiio.local.ddl.statement import ResultSet, Surroundings
from aiopaiio.local.storage import Partition, TableName
from aiopaiio.schema import Column, TableSchema, arrow_type

__all__ = ["select"]

_UNDERSTOOD = {"expressions", "from_", "from", "where", "limit"}
_PAGE = 10_000

_COMPARISONS: dict[type[exp.Expression], Callable[[Any, Any], bool]] = {
    exp.EQ: operator.eq,
    exp.NEQ: operator.ne,
    exp.LT: operator.lt,
    exp.LTE: operator.le,
    exp.GT: operator.gt,
    exp.GTE: operator.ge,
}


def select(statement: exp.Select, around: Surroundings) -> ResultSet:
    """A session on the rows of the partitions that meet the conditions."""
    extra = [key for key, value in statement.args.items() if value and key not in _UNDERSTOOD]
    if extra:
        raise unsupported(f"SELECT with {', '.join(key.replace('_', ' ').upper() for key in extra)}")
    source = statement.args.get("from_") or statement.args.get("from")
    table = source.this if source else None
    if not isinstance(table, exp.Table) or table.args.get("joins"):
        raise unsupported("SELECT from anything but one table")
    name = around.table_name(table)
    schema = around.store.get_table(name).schema
    where = statement.args.get("where")
    download = around.store.create_scan(
        name,
        partitions=_partitions(where.this, name, schema, around) if where else None,
        columns=_columns(statement, schema),
        limit=_limit(statement.args.get("limit")),
    )
    return ResultSet(download)


def _columns(statement: exp.Select, schema: TableSchema) -> list[str] | None:
    every = [column.name for column in (*schema.columns, *schema.partition_columns)]
    names: list[str] = []
    for expression in statement.expressions:
        if isinstance(expression, exp.Star):
            names += every
        elif isinstance(expression, exp.Column) and isinstance(expression.this, exp.Identifier):
            if expression.name.lower() not in every:
                raise semantic_failure(f"column {expression.name} cannot be resolved")
            names.append(expression.name.lower())
        else:
            raise unsupported(f"SELECT {expression.sql(dialect='hive')}")
    return names


def _limit(limit: exp.Expression | None) -> int | None:
    if limit is None:
        return None
    count = limit.expression
    if not isinstance(count, exp.Literal) or not count.name.isdecimal():
        raise unsupported("LIMIT of anything but a whole number")
    return int(count.name)


def _partitions(
    condition: exp.Expression, name: TableName, schema: TableSchema, around: Surroundings
) -> list[dict[str, str]]:
    columns = {column.name: column for column in schema.partition_columns}
    chosen: list[dict[str, str]] = []
    marker = ""
    _holds(condition, columns, dict.fromkeys(columns))
    while True:
        page, marker = around.store.list_partitions(name, marker=marker, limit=_PAGE)
        chosen += [
            dict(partition.values) for partition in page if _holds(condition, columns, _typed(columns, partition))
        ]
        if not marker:
            return chosen


def _typed(columns: Mapping[str, Column], partition: Partition) -> dict[str, Any]:
    return {name: _value(columns[name], text) for name, text in partition.values}


def _value(column: Column, text: str) -> Any:
    try:
        return pa.scalar(text, pa.string()).cast(arrow_type(column.type)).as_py()
    except pa.ArrowInvalid:
        raise semantic_failure(
            f"{text!r} cannot be compared with {column.name} of type {column.type.upper()}"
        ) from None


def _holds(condition: exp.Expression, columns: Mapping[str, Column], values: Mapping[str, Any]) -> bool:
    """Whether one partition meets the condition. Values that are None only check that it can be evaluated."""
    match condition:
        case exp.Paren():
            return _holds(condition.this, columns, values)
        case exp.And() | exp.Or():
            # Both sides are always looked at, so that what is wrong in either is reported for any table.
            left = _holds(condition.this, columns, values)
            right = _holds(condition.expression, columns, values)
            return (left and right) if isinstance(condition, exp.And) else (left or right)
        case exp.Not():
            return not _holds(condition.this, columns, values)
        case exp.In() if condition.expressions:
            found = [_compare(exp.EQ, condition.this, member, columns, values) for member in condition.expressions]
            return any(found)
        case exp.Between():
            low = _compare(exp.GTE, condition.this, condition.args["low"], columns, values)
            return _compare(exp.LTE, condition.this, condition.args["high"], columns, values) and low
    if type(condition) not in _COMPARISONS:
        raise unsupported(f"the condition {condition.sql(dialect='hive')}")
    return _compare(type(condition), condition.this, condition.expression, columns, values)


def _compare(
    kind: type[exp.Expression],
    left: exp.Expression,
    right: exp.Expression,
    columns: Mapping[str, Column],
    values: Mapping[str, Any],
) -> bool:
    name = left.name.lower() if isinstance(left, exp.Column) else ""
    if name not in columns or not isinstance(right, exp.Literal):
        raise unsupported(
            f"the condition {kind(this=left.copy(), expression=right.copy()).sql(dialect='hive')}: only partition"
            f" columns ({', '.join(columns) or 'the table has none'}) can be compared, each on the left of a literal"
        )
    bound = _value(columns[name], right.name)
    return values[name] is not None and _COMPARISONS[kind](values[name], bound)
