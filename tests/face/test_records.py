"""Records: whatever the batches and however they are cut, the rows are those that went in, as plain Python values."""

from __future__ import annotations

import json
import pickle
import sys
from datetime import date, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from cell_strategies import cells, type_texts
from hypothesis import example, given, settings
from hypothesis import strategies as st

from aiopaiio.cells import rows_to_batch
from aiopaiio.records import RecordCursor, Records, StringAs, records_from_batches
from aiopaiio.row_tuples import tuples_from_batches
from aiopaiio.schema import Column, arrow_schema
from aiopaiio.wide_time import WideInterval, WideTimestamp


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[Column], list[tuple[Any, ...]]]:
    types = draw(st.lists(type_texts(), min_size=1, max_size=4))
    columns = [Column(f"c{number}", text) for number, text in enumerate(types)]
    rows = draw(st.lists(st.tuples(*[cells(text) for text in types]), max_size=40))
    return columns, rows


def batches_of(columns: list[Column], rows: list[tuple[Any, ...]], size: int) -> list[pa.RecordBatch]:
    return [rows_to_batch(rows[at : at + size], None, columns) for at in range(0, len(rows), size)]


LONGEST_OF_64_BITS = timedelta(seconds=(1 << 63) // 1_000_000 - 1)


def needs_object(cell: Any) -> bool:
    if isinstance(cell, timedelta):
        return abs(cell) >= LONGEST_OF_64_BITS
    return cell is None or isinstance(cell, (np.datetime64, np.timedelta64, WideTimestamp, WideInterval))


def test_intervals_that_overflow_64_bits_of_microseconds() -> None:
    columns = [Column("a", "interval_day_time")]
    rows = [(timedelta(days=days),) for days in (106_751_991, 106_751_992, -106_751_992, 999_999_999, -999_999_999)]
    cursor = RecordCursor(arrow_schema(columns))
    for batch in batches_of(columns, rows, 2):
        cursor.push(batch)
    assert cursor.take(len(rows)).tolist() == rows


@given(tables(), st.integers(1, 17), st.lists(st.integers(0, 50), max_size=30))
@settings(max_examples=150, deadline=None)
def test_rows_come_back_in_order_whatever_the_cuts(
    table: tuple[list[Column], list[tuple[Any, ...]]], batch_rows: int, takes: list[int]
) -> None:
    columns, rows = table
    cursor = RecordCursor(arrow_schema(columns))
    for batch in batches_of(columns, rows, batch_rows):
        cursor.push(batch)
    at = 0
    for wanted in takes:
        count = min(wanted, cursor.rows)
        taken = cursor.take(count)
        expected = rows[at : at + count]
        assert taken.tolist() == list(taken) == [taken[n] for n in range(count)] == expected
        assert [[type(cell) for cell in row] for row in taken] == [[type(cell) for cell in row] for row in expected]
        check_fields(taken, expected, arrow_schema(columns))
        at += count
        assert cursor.rows == len(rows) - at


PLAIN = [("bigint", 7), ("float", 0.5), ("boolean", True), ("datetime", 1_700_000_000_000), ("string", "x")]
PLAIN_TABLE = ([Column(f"c{n}", text) for n, (text, _) in enumerate(PLAIN)], [tuple(cell for _, cell in PLAIN)] * 9)


@example(PLAIN_TABLE, 5, 3, "bytes")
@given(tables(), st.integers(1, 17), st.integers(0, 9), st.sampled_from(["str", "bytes"]))
@settings(max_examples=100, deadline=None)
def test_tuples_are_the_rows_of_the_records(
    table: tuple[list[Column], list[tuple[Any, ...]]], batch_rows: int, cut: int, string_as: StringAs
) -> None:
    columns, rows = table
    batches = [batch.slice(cut % batch.num_rows) for batch in batches_of(columns, rows, batch_rows)]
    got = tuples_from_batches(batches, string_as=string_as)
    expected = records_from_batches(batches, schema=arrow_schema(columns), string_as=string_as).tolist()
    assert got == expected
    assert [[type(cell) for cell in row] for row in got] == [[type(cell) for cell in row] for row in expected]


def test_many_tuples_are_made_in_blocks_that_lose_none() -> None:
    rows = [(n, None if n % 3 else n / 2, f"{n}", None if n % 5 else f"{n}") for n in range(20_000)]
    columns = [Column(f"c{number}", text) for number, text in enumerate(["bigint", "double", "string", "string"])]
    assert tuples_from_batches(batches_of(columns, rows, len(rows))) == rows


@pytest.mark.parametrize("times", [3, 17])
def test_single_rows_of_many_patterns_of_nulls(times: int) -> None:
    """Some patterns are common in a batch, others are there once; no two columns have theirs in the same rows."""
    types = ["bigint", "double", "boolean", "date"] * times
    columns = [Column(f"c{number}", text) for number, text in enumerate(types)]
    fitting: list[Any] = [7, 0.5, True, date(2024, 2, 29)] * times
    rows = [
        tuple(None if (row + 1) % (at + 2) == 0 and row % 7 < 5 else cell for at, cell in enumerate(fitting))
        for row in range(200)
    ]
    rows[100:150] = [(None, *fitting[1:])] * 50
    cursor = RecordCursor(arrow_schema(columns))
    for batch in batches_of(columns, rows, 150):
        cursor.push(batch)
    for row in rows:
        taken = cursor.take(1)
        assert taken.tolist() == [row]
        check_fields(taken, [row], arrow_schema(columns))


@pytest.mark.parametrize("count", [1, 50])
def test_batches_may_be_cut_between_the_bits_of_a_byte(count: int) -> None:
    columns = [Column("a", "bigint"), Column("b", "boolean"), Column("c", "date")]
    rows = [(n or None, n % 3 == 0 if n % 5 else None, date(2024, 1, 1 + n % 31) if n % 7 else None) for n in range(50)]
    whole = rows_to_batch(rows, None, columns)
    cursor = RecordCursor(arrow_schema(columns))
    for start in range(0, 50, 11):
        cursor.push(whole.slice(start, 11))
    assert [row for _ in range(0, 50, count) for row in cursor.take(count)] == rows


def check_fields(records: Records, rows: list[tuple[Any, ...]], schema: pa.Schema) -> None:
    """A field holds objects only if its type has no other form, or if one of these rows needs it."""
    plain = RecordCursor(schema).take(0).dtype
    for number, name in enumerate(schema.names):
        odd = any(needs_object(row[number]) for row in rows)
        assert records.dtype[name].hasobject == (odd or plain[name].hasobject), name


@given(tables(), st.integers(1, 17), st.data())
@settings(max_examples=50, deadline=None)
def test_skipped_rows_are_passed_over(
    table: tuple[list[Column], list[tuple[Any, ...]]], batch_rows: int, data: st.DataObject
) -> None:
    columns, rows = table
    cursor = RecordCursor(arrow_schema(columns))
    for batch in batches_of(columns, rows, batch_rows):
        cursor.push(batch)
    while cursor.rows:
        at = len(rows) - cursor.rows
        cursor.take(data.draw(st.integers(0, min(3, cursor.rows))))
        cursor.skip(data.draw(st.integers(0, cursor.rows)))
        at = len(rows) - cursor.rows
        if cursor.rows:
            assert cursor.take(1)[0] == rows[at]


@pytest.fixture
def rows() -> Records:
    batch = pa.record_batch(
        {
            "id": pa.array(range(6)),
            "score": pa.array([0.5, None, 1.5, 2.5, None, 3.5]),
            "name": pa.array([f"name {n}" for n in range(6)]),
            "size": pa.array([True] * 6),
        }
    )
    return records_from_batches([batch])


def test_a_record_array_with_a_truth_value(rows: Records) -> None:
    assert isinstance(rows, np.recarray)
    assert rows.ndim == 1
    assert len(rows) == 6
    assert (rows or []) is rows
    assert not rows[:0]
    assert (rows[6:] or []) == []


def test_rows_are_plain_tuples_of_plain_values(rows: Records) -> None:
    assert rows[1] == (1, None, "name 1", True)
    assert type(rows[0]) is tuple
    assert [type(cell) for cell in rows[0]] == [int, float, str, bool]
    assert json.dumps(rows[1]) == '[1, null, "name 1", true]'
    assert rows[0][:2] == (0, 0.5)
    assert rows[-1][0] == 5
    gathered: list[Any] = []
    gathered.extend(rows)
    alias = gathered
    alias += rows
    assert gathered == rows.tolist() * 2
    assert next(zip(*rows, strict=True)) == (0, 1, 2, 3, 4, 5)
    with pytest.raises(IndexError):
        rows[6]


def test_columns_by_name_and_attribute(rows: Records) -> None:
    assert type(rows["id"]) is np.ndarray
    assert rows["id"].dtype == np.int64
    assert rows.id.tolist() == list(range(6))
    assert rows["score"].dtype == object
    assert rows[2:4]["score"].dtype == object  # a slice keeps its fields
    # ``size`` is an attribute of every array; the column of that name is found by its name.
    assert rows.size == 6
    assert rows["size"].dtype == bool
    with pytest.raises(AttributeError, match="no_such"):
        _ = rows.no_such


def test_parts_are_records(rows: Records) -> None:
    for part in (rows[1:3], rows[rows["id"] > 3], rows[[0, 2]], rows[["id", "name"]]):
        assert isinstance(part, Records)
    assert rows[rows["id"] > 3].tolist() == rows.tolist()[4:]
    assert rows[["id", "name"]][0] == (0, "name 0")


def test_pickle(rows: Records) -> None:
    again = pickle.loads(pickle.dumps(rows))
    assert isinstance(again, Records)
    assert again.tolist() == rows.tolist()
    assert again.dtype == rows.dtype


def test_values_changed_in_a_column_show_in_the_rows(rows: Records) -> None:
    rows["id"][0] = 100
    assert rows[0][0] == 100
    assert next(iter(rows))[0] == 100


def test_a_read_of_few_rows_does_not_share_memory_with_the_next() -> None:
    cursor = RecordCursor(pa.schema([("a", pa.int64())]))
    cursor.push(pa.record_batch({"a": pa.array([1, 2, 3, 4])}))
    first = cursor.take(2)
    first["a"][:] = 0
    assert cursor.take(2).tolist() == [(3,), (4,)]


@pytest.mark.parametrize("names", [["text"], ["text", "id"], ["text", "gap"]])
def test_objects_live_as_long_as_the_records_that_hold_them(names: list[str]) -> None:
    batch = pa.record_batch(
        {"text": ["first text", "second text"], "id": [1, 2], "gap": pa.array([1 << 40, None], pa.int64())}
    )
    records = records_from_batches([batch.select(names)])
    part = records[1:]
    first = records[0][0]
    held = sys.getrefcount(first)
    del records
    held_by_part = sys.getrefcount(first)
    assert part[0][0] == "second text"
    del part
    assert (held_by_part, sys.getrefcount(first)) == (held, held - 1)


def test_text_as_bytes() -> None:
    column = pa.array([b"a", None, b"\xff\x00"], pa.binary())
    batch = pa.record_batch({"t": column.view(pa.string()), "b": column})
    assert records_from_batches([batch]).tolist() == [("a", b"a"), (None, None), ("\udcff\x00", b"\xff\x00")]
    assert records_from_batches([batch], string_as="bytes").tolist() == [
        (cell, cell) for cell in (b"a", None, b"\xff\x00")
    ]


@pytest.mark.parametrize("string_as", ["str", "bytes"])
def test_texts_that_repeat_are_one_object_each(string_as: StringAs) -> None:
    """Also when the part of the rows that is looked at says they would, and they do not; also when all are NULL."""
    few: list[bytes | None] = [b"Cairo", None, "Zürich".encode(), b"\xff", b""]
    columns = {
        "few": [few[number % 5] for number in range(8200)],
        "null": [None] * 8200,
        # Every 32nd row is looked at.
        "many": [b"seen" if number % 32 == 8 else b"%d" % number for number in range(8200)],
    }
    columns |= {f"{name}_raw": values for name, values in columns.items()}
    arrays = [pa.array(values, pa.binary()) for values in columns.values()]
    arrays[:3] = [pa.Array.from_buffers(pa.string(), len(array), array.buffers()) for array in arrays[:3]]
    rows = pa.record_batch(arrays, names=list(columns)).slice(8)
    cursor = RecordCursor(rows.schema, string_as=string_as)
    cursor.push(rows)
    parts = [cursor.take(count) for count in (1, 30, 5000, rows.num_rows - 5031)]
    for name, values in columns.items():
        as_text = string_as == "str" and not name.endswith("_raw")
        found = [value for part in parts for value in part[name]]
        assert found == [
            value.decode("utf-8", "surrogateescape") if as_text and value is not None else value for value in values[8:]
        ]
        if name.startswith("few"):
            assert len(set(map(id, found))) == len(few)


def test_values_of_time_that_neither_python_nor_numpy_holds() -> None:
    columns = [Column("t", "timestamp"), Column("i", "interval_day_time")]
    last = WideTimestamp(253_402_300_799, 999_999_999)
    rows = [(last, WideInterval(10**10, 1)), (WideTimestamp(-(10**11), 1), WideInterval(-(10**10), 999_999_999))]
    records = records_from_batches(batches_of(columns, rows, 2))
    assert records.tolist() == rows
    assert [[type(cell) for cell in row] for row in records] == [[WideTimestamp, WideInterval]] * 2
    assert str(last) == "9999-12-31T23:59:59.999999999"
    assert rows[1][0] < last
    assert pickle.loads(pickle.dumps(records)).tolist() == rows
    assert {last: 1}[records[0][0]] == 1


def test_the_last_and_first_moments() -> None:
    columns = [Column("t", "timestamp")]
    moments = [(datetime(1, 1, 1),), (datetime(9999, 12, 31, 23, 59, 59, 999999),)]
    assert records_from_batches([rows_to_batch(moments, None, columns)]).tolist() == moments


def test_asking_for_more_than_there_is() -> None:
    cursor = RecordCursor(pa.schema([("a", pa.int64())]))
    cursor.push(pa.record_batch({"a": pa.array([1])}))
    for count in (2, -1):
        with pytest.raises(ValueError, match="1 waiting"):
            cursor.take(count)
    cursor.clear()
    assert cursor.rows == 0
    assert not cursor.take(0)
