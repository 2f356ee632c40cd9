"""Column selection: by name in any case and order, partition columns on request."""

import pyarrow as pa
import pytest

from aiopaiio.columns import parse_column_names, plan_columns
from aiopaiio.errors import ColumnError
from aiopaiio.schema import Column, TableSchema, arrow_schema
from aiopaiio.table_path import PartitionSpec

SCHEMA = TableSchema(
    (Column("a", "bigint"), Column("b", "string"), Column("c", "double")), (Column("ds", "string"), Column("hh", "int"))
)
SPEC = PartitionSpec((("ds", "x"), ("hh", "7")))


def names(columns) -> list[str]:
    return [column.name for column in columns]


@pytest.mark.parametrize(
    ("given", "expected"),
    [(None, ()), ("", ()), (" , ", ()), ("A, b ,c", ("a", "b", "c")), (["B", " a"], ("b", "a"))],
)
def test_names(given, expected) -> None:
    assert parse_column_names(given) == expected


@pytest.mark.parametrize(
    ("selected", "excluded", "columns", "wire"),
    [
        ((), (), "abc", "abc"),
        (("c", "a"), (), "ca", "ac"),
        ((), ("b",), "ac", "ac"),
    ],
)
def test_plans(selected, excluded, columns: str, wire: str) -> None:
    plan = plan_columns(SCHEMA, selected, excluded)
    assert names(plan.columns) == list(columns)
    assert names(plan.wire_columns) == list(wire)
    batch = pa.RecordBatch.from_pylist([{"a": 1, "b": "x", "c": 0.5}], schema=arrow_schema(SCHEMA.columns)).select(
        list(wire)
    )
    assert plan.arrange(batch, None).to_pylist() == [{n: {"a": 1, "b": "x", "c": 0.5}[n] for n in columns}]


def test_partition_columns_carry_the_partition_s_value_typed() -> None:
    plan = plan_columns(SCHEMA, ("hh", "a", "ds"))
    assert names(plan.wire_columns) == ["a"]
    batch = pa.RecordBatch.from_pydict({"a": [1, 2]}, schema=arrow_schema(plan.wire_columns))
    arranged = plan.arrange(batch, SPEC)
    assert arranged.to_pylist() == [{"hh": 7, "a": 1, "ds": "x"}, {"hh": 7, "a": 2, "ds": "x"}]
    assert arranged.schema.equals(plan.arrow_schema(), check_metadata=True)


def test_partition_columns_alone() -> None:
    plan = plan_columns(SCHEMA, ("ds",))
    assert names(plan.wire_columns) == ["a"]
    batch = pa.RecordBatch.from_pydict({"a": [1, 2]}, schema=arrow_schema(plan.wire_columns))
    assert plan.arrange(batch, SPEC).to_pylist() == [{"ds": "x"}, {"ds": "x"}]


@pytest.mark.parametrize(
    ("selected", "excluded", "message"),
    [
        (("a",), ("b",), "cannot be used together"),
        (("x",), (), "no column 'x'"),
        ((), ("x",), "no column 'x'"),
        (("a", "a"), (), "twice"),
        ((), ("a", "b", "c"), "nothing is left"),
    ],
)
def test_refuses(selected, excluded, message: str) -> None:
    with pytest.raises(ColumnError, match=message):
        plan_columns(SCHEMA, selected, excluded)


def test_a_typing_error_gets_a_hint() -> None:
    schema = TableSchema((Column("distance", "bigint"),))
    with pytest.raises(ColumnError, match="did you mean 'distance'"):
        plan_columns(schema, ("distanc",))
