"""Timestamps as seconds and nanoseconds, and rows as CSV."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiopaiio.local.csv_text import csv_text
from aiopaiio.local.wide_timestamps import widen_timestamps
from aiopaiio.schema import Column, arrow_schema

NANOS = st.none() | st.integers(-(2**63) + 1, 2**63 - 1)
LISTS = st.none() | st.lists(NANOS, max_size=3)


def wide(value: int | None) -> dict[str, int] | None:
    return None if value is None else {"sec": value // 10**9, "nano": value % 10**9}


def batch_of(array: pa.Array) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays([array], names=["c"])


@given(st.lists(NANOS, min_size=1), st.data())
def test_plain(values: list[int | None], data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(values) - 1))
    batch = batch_of(pa.array(values, pa.timestamp("ns"))).slice(start)
    widened = widen_timestamps(batch)
    widened.validate(full=True)
    assert widened.column(0).to_pylist() == [wide(value) for value in values[start:]]


@given(st.lists(LISTS, min_size=1), st.data())
def test_in_arrays_maps_and_structs_of_a_slice(values: list[list[int | None] | None], data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(values) - 1))
    stamp = pa.timestamp("ns")
    arrays = pa.array(values, pa.list_(stamp))
    maps = pa.array([None if value is None else list(enumerate(value)) for value in values], pa.map_(pa.int64(), stamp))
    structs = pa.array([None if value is None else {"x": value} for value in values], pa.struct([("x", arrays.type)]))
    batch = pa.RecordBatch.from_arrays([arrays, maps, structs], names=["a", "m", "s"]).slice(start)
    widened = widen_timestamps(batch)
    widened.validate(full=True)
    expected = [None if value is None else [wide(item) for item in value] for value in values[start:]]
    assert widened.column(0).to_pylist() == expected
    assert widened.column(1).to_pylist() == [None if row is None else list(enumerate(row)) for row in expected]
    assert widened.column(2).to_pylist() == [None if row is None else {"x": row} for row in expected]


@pytest.mark.parametrize(
    ("kind", "value", "text"),
    [
        ("bigint", -1, "-1"),
        ("double", 0.1, "0.1"),
        ("boolean", True, "true"),
        ("string", 'a,"b"\n', '"a,""b""\n"'),
        ("binary", b"\x00\xff", "AP8="),
        ("datetime", 1, "1970-01-01 00:00:00"),
        ("date", 1, "1970-01-02"),
        ("timestamp", -500_000_000, "1969-12-31 23:59:59.5"),
        ("array<bigint>", [1, None], '"[1, null]"'),
        ("map<string,boolean>", [("k", False)], '"{""k"": false}"'),
        ("struct<a:string,b:date>", {"a": "é", "b": 0}, '"{""a"": ""é"", ""b"": ""1970-01-01""}"'),
        ("interval_day_time", {"sec": 1, "nano": 5}, "1.000000005"),
    ],
)
def test_csv(kind: str, value: object, text: str) -> None:
    columns = [Column("c", kind), Column("d", "string")]
    schema = arrow_schema(columns)
    batch = pa.RecordBatch.from_arrays([pa.array([value, None], schema.types[0]), pa.array(["x", None])], schema=schema)
    assert csv_text([batch], columns) == f"c,d\n{text},x\n\\N,\\N\n"


def test_csv_of_bytes_that_are_no_text() -> None:
    columns = [Column("c", "string")]
    array = pa.array([b"a\xff"], pa.binary()).view(pa.string())
    assert csv_text([pa.RecordBatch.from_arrays([array], names=["c"])], columns) == "c\na\ufffd\n"
