"""Rows gathered a few at a time are the rows of one conversion, in order, in few batches."""

from __future__ import annotations

from typing import Any

import pytest
from cell_strategies import FLAT_TYPES, cells
from hypothesis import given, settings
from hypothesis import strategies as st

from aiopaiio.cells import rows_to_batch
from aiopaiio.errors import ColumnError, ValueTypeError
from aiopaiio.records import records_from_batches
from aiopaiio.row_gatherer import RowGatherer
from aiopaiio.schema import Column, arrow_schema

TYPES = [*FLAT_TYPES, "array<bigint>"]
COLUMNS = [Column(f"c{number}", text) for number, text in enumerate(TYPES)]


@st.composite
def writes(draw: st.DrawFn) -> tuple[list[Any], list[int]]:
    """Rows of some columns, and which."""
    indices = draw(st.lists(st.integers(0, len(TYPES) - 1), min_size=1, max_size=3, unique=True))
    rows = draw(st.lists(st.tuples(*[cells(TYPES[index]) for index in indices]), min_size=1, max_size=40))
    return rows, indices


@given(st.lists(writes(), max_size=5), st.booleans())
@settings(max_examples=100, deadline=None)
def test_the_rows_that_were_added(calls: list[tuple[list[Any], list[int]]], one_by_one: bool) -> None:
    gatherer = RowGatherer(COLUMNS)
    expected: list[Any] = []
    for rows, indices in calls:
        for values in rows if one_by_one else [rows]:
            # A list in the first place would be taken for a row.
            gatherer.add([values] if isinstance(values[0], list) else values, indices)
        expected += records_from_batches([rows_to_batch(rows, indices, COLUMNS)]).tolist()
        assert gatherer.rows == len(expected)
    batches = gatherer.take()
    assert records_from_batches(batches, schema=arrow_schema(COLUMNS)).tolist() == expected
    assert gatherer.rows == gatherer.converted_bytes == 0
    assert gatherer.take() == []


def test_single_rows_become_one_batch() -> None:
    gatherer = RowGatherer([Column("a", "bigint"), Column("b", "string")])
    for number in range(5000):
        gatherer.add((number, f"row {number}"), [0, 1])
    (batch,) = gatherer.take()
    assert records_from_batches([batch]).tolist() == [(number, f"row {number}") for number in range(5000)]


def test_a_failing_call_adds_nothing() -> None:
    gatherer = RowGatherer([Column("a", "bigint"), Column("b", "string")])
    gatherer.add((1, "x"), [0, 1])
    for values, indices in (
        ([(2, "x"), ("?", "x")], [0, 1]),
        ((2, True), [0, 1]),
        ([(2, "x"), (2,)], [0, 1]),
        ((2, "\ud800"), [0, 1]),
        ((2**63, "x"), [0, 1]),
    ):
        with pytest.raises(ValueTypeError):
            gatherer.add(values, indices)
    with pytest.raises(ColumnError):
        gatherer.add((1, "x"), [0, 5])
    gatherer.add((3, "y"), iter([0, 1]))
    assert gatherer.rows == 2
    assert records_from_batches(gatherer.take()).tolist() == [(1, "x"), (3, "y")]


def test_strictness_belongs_to_each_call() -> None:
    gatherer = RowGatherer([Column("a", "bigint")])
    gatherer.add(["1"], [0])
    with pytest.raises(ValueTypeError):
        gatherer.add(["2"], [0], allow_type_cast=False)
    gatherer.add([3], [0], allow_type_cast=False)
    assert records_from_batches(gatherer.take()).tolist() == [(1,), (3,)]


def test_a_list_changed_after_the_call_does_not_change_the_row() -> None:
    gatherer = RowGatherer([Column("a", "bigint"), Column("b", "array<bigint>"), Column("c", "binary")])
    inner, raw = [1, 2], bytearray(b"ab")
    row: list[Any] = [1, inner, raw]
    gatherer.add(row)
    plain = [2, None, None]
    gatherer.add(plain)
    inner.append(3)
    raw[0] = 0
    row[0] = plain[0] = 9
    assert records_from_batches(gatherer.take()).tolist() == [(1, [1, 2], b"ab"), (2, None, None)]


def test_not_null_columns_want_a_value() -> None:
    gatherer = RowGatherer([Column("a", "bigint", nullable=False), Column("b", "bigint")])
    for values, indices in ((None, 1), [0, 1]), ((1,), [1]):
        with pytest.raises(ValueTypeError, match="NOT NULL"):
            gatherer.add(values, indices)
    assert gatherer.rows == 0


def test_size_counts_long_texts_at_once() -> None:
    gatherer = RowGatherer([Column("a", "string")])
    gatherer.add(("x" * 100_000,), [0])
    assert gatherer.converted_bytes >= 100_000
