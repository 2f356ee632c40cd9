"""Cells: every value that fits is written exactly, every other one is an error that says where and why."""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiopaiio.cells import rows_to_batch
from aiopaiio.errors import ColumnError, ValueTypeError
from aiopaiio.records import records_from_batches
from aiopaiio.schema import Column
from aiopaiio.wide_time import WideInterval, WideTimestamp

NAN = float("nan")


def written(cell: Any, type_text: str, *, cast: bool = True) -> Any:
    """What a read gives after one cell was written."""
    batch = rows_to_batch([(cell,)], [0], [Column("c", type_text)], allow_type_cast=cast)
    return records_from_batches([batch])[0][0]


@pytest.mark.parametrize(
    ("cell", "type_text", "expected"),
    [
        (np.int32(5), "bigint", 5),
        (np.uint64(2**63 - 1), "bigint", 2**63 - 1),
        (-128, "tinyint", -128),
        (7, "double", 7.0),
        (np.float32(0.5), "double", 0.5),
        (0.1, "float", float(np.float32(0.1))),
        (float("inf"), "float", float("inf")),
        (np.bool_(True), "boolean", True),
        (b"ab", "string", "ab"),
        (b"\xff\x00", "string", "\udcff\x00"),
        (np.str_("ab"), "varchar(2)", "ab"),
        (np.bytes_(b"ab"), "char(2)", "ab"),
        ({"a": [1, None]}, "json", '{"a": [1, null]}'),
        (bytearray(b"ab"), "binary", b"ab"),
        (memoryview(b"ab"), "binary", b"ab"),
        (1, "decimal(3,1)", Decimal("1.0")),
        (Decimal("99.9"), "decimal(3,1)", Decimal("99.9")),
        (Decimal("1E+1"), "decimal(3,1)", Decimal("10.0")),
        (1_700_000_000_123, "datetime", 1_700_000_000_123),
        (datetime(1970, 1, 1, 0, 0, 1, 5000), "datetime", 1005),
        (datetime(1970, 1, 1, 8, tzinfo=timezone(timedelta(hours=8))), "datetime", 0),
        (np.datetime64("1970-01-02"), "datetime", 86_400_000),
        (np.datetime64("9999-12-31T23:59", "m"), "datetime", 253_402_300_740_000),
        (np.datetime64("2024-02", "M"), "date", date(2024, 2, 1)),
        (np.datetime64("1969-12-31T00", "h"), "date", date(1969, 12, 31)),
        (np.datetime64("1969-12-31T23:59:59.999999999"), "timestamp", np.datetime64("1969-12-31T23:59:59.999999999")),
        (
            pd.Timestamp("2024-01-01T00:00:00.000000001"),
            "timestamp_ntz",
            np.datetime64("2024-01-01T00:00:00.000000001"),
        ),
        (pd.Timedelta(nanoseconds=-1), "interval_day_time", np.timedelta64(-1, "ns")),
        (np.timedelta64(3, "D"), "interval_day_time", timedelta(days=3)),
        (WideTimestamp(253_402_300_799, 999_999_999), "timestamp", WideTimestamp(253_402_300_799, 999_999_999)),
        (WideTimestamp(-1, 999_999_000), "timestamp_ntz", datetime(1969, 12, 31, 23, 59, 59, 999_999)),
        (WideInterval(-(10**10), 1), "interval_day_time", WideInterval(-(10**10), 1)),
        (np.array(5), "bigint", 5),
        (np.array(0.5), "double", 0.5),
        (np.array("ab"), "string", "ab"),
        (np.array(np.datetime64("2024-01-01", "ns")), "datetime", 1_704_067_200_000),
        (np.array(np.datetime64(1, "ns")), "timestamp", np.datetime64(1, "ns")),
        (np.ma.masked, "double", None),
        (np.ma.array(5, mask=True), "bigint", None),
        (np.array([1.5, 2.5]), "array<double>", [1.5, 2.5]),
        ((1, 2), "array<int>", [1, 2]),
        ([("a", 1), ("b", None)], "map<string,int>", {"a": 1, "b": None}),
        ((1, "x"), "struct<a:int,b:string>", {"a": 1, "b": "x"}),
        ({"b": "x"}, "struct<a:int,b:string>", {"a": None, "b": "x"}),
        (None, "double", None),
        (np.datetime64("NaT", "ns"), "timestamp", None),
        (np.timedelta64("NaT", "ns"), "interval_day_time", None),
        (pd.NaT, "datetime", None),
        (pd.NA, "bigint", None),
    ],
)
def test_natural_values_need_no_cast(cell: Any, type_text: str, expected: Any) -> None:
    for cast in (True, False):
        found = written(cell, type_text, cast=cast)
        assert found == expected
        assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("type_text", "cells", "expected"),
    [
        ("double", [0.5, 1.5], 0.5),
        ("string", [0.5, 1.5], "0.5"),
        ("bigint", [1, 2], 1),
        ("timestamp", np.array([1, 2], "M8[ns]"), np.datetime64(1, "ns")),
    ],
)
def test_what_is_masked_is_null(type_text: str, cells: Any, expected: Any) -> None:
    masked = np.ma.array(cells, mask=[False, True])
    for values in (masked[:, None], [(cell,) for cell in masked]):
        batch = rows_to_batch(values, [0], [Column("c", type_text)])
        assert records_from_batches([batch]).tolist() == [(expected,), (None,)]


def test_what_is_masked_in_a_record_is_null() -> None:
    kinds = [("a", np.int64), ("b", np.float64)]
    records = np.ma.array([(1, 0.5), (2, 1.5)], mask=[(True, False), (False, True)], dtype=kinds)
    columns = [Column("a", "bigint"), Column("b", "double")]
    assert records_from_batches([rows_to_batch(records, None, columns)]).tolist() == [(None, 0.5), (2, None)]
    assert records_from_batches([rows_to_batch(records[0], None, columns)]).tolist() == [(None, 0.5)]


def test_nan_is_a_double() -> None:
    assert np.isnan(written(NAN, "double"))


@pytest.mark.parametrize(
    ("cell", "type_text", "expected"),
    [
        ("12", "bigint", 12),
        (b" -12 ", "smallint", -12),
        (np.str_("+7"), "int", 7),
        ("1.5", "double", 1.5),
        ("-1e3", "float", -1000.0),
        ("1.50", "decimal(4,2)", Decimal("1.50")),
        (0.1, "decimal(4,2)", Decimal("0.10")),
        ("true", "boolean", True),
        ("0", "boolean", False),
        (1, "boolean", True),
        (True, "bigint", 1),
        (2.0, "bigint", 2),
        (2**53 + 1, "double", float(2**53)),
        ("1000", "datetime", 1000),
        ("é", "binary", "é".encode()),
        (-5, "string", "-5"),
        (0.1, "varchar(3)", "0.1"),
        (np.float32(0.1), "string", "0.1"),
        (np.uint64(2**64 - 1), "string", "18446744073709551615"),
        (Decimal("1.50"), "json", "1.50"),
    ],
)
def test_casts(cell: Any, type_text: str, expected: Any) -> None:
    assert written(cell, type_text) == expected
    with pytest.raises(ValueTypeError):
        written(cell, type_text, cast=False)


@pytest.mark.parametrize(
    ("cell", "type_text", "reason"),
    [
        ("1.0", "bigint", "not a whole number"),
        ("", "bigint", "not a whole number"),
        ("1_000", "bigint", "not a whole number"),
        ("1_000", "double", "not a number"),
        ("12 345", "double", "not a number"),
        (1.5, "bigint", "not a whole number"),
        (NAN, "bigint", "missing"),
        (Decimal("sNaN"), "bigint", "not a whole number"),
        (2**63, "bigint", "64 bits"),
        ("128", "tinyint", "8 bits"),
        (np.int64(300), "tinyint", "8 bits"),
        (1e300, "float", "32-bit"),
        (10**400, "double", "64-bit"),
        (1j, "double", "complex"),
        (np.complex128(1), "double", "complex"),
        ("yes", "boolean", "true, false"),
        (2, "boolean", "int"),
        (True, "string", "str()"),
        (NAN, "string", "None"),
        (float("inf"), "string", "str()"),
        (Decimal("NaN"), "string", "None"),
        (1234, "char(3)", "4 characters"),
        (object(), "string", "object"),
        ("abc", "char(2)", "3 characters"),
        ("abc", "varchar(2)", "3 characters"),
        ("\ud800", "string", "surrogates"),
        ({1: object()}, "json", "JSON"),
        ([1], "binary", "list"),
        (Decimal("1.23"), "decimal(5,1)", "after the point"),
        (Decimal("12345"), "decimal(5,1)", "before the point"),
        (Decimal("NaN"), "decimal(5,1)", "missing"),
        (Decimal("1E+999999"), "decimal(5,1)", "digits"),
        ("x", "decimal(5,1)", "not a number"),
        (datetime(2024, 1, 1, microsecond=1), "datetime", "millisecond"),
        (1.0, "datetime", "milliseconds"),
        (2**63, "datetime", "64 bits"),
        (datetime(2024, 1, 1), "date", "date()"),
        (np.datetime64("2024-01-01T01"), "date", "time of day"),
        (5, "timestamp", "datetime"),
        (np.datetime64(1, "as"), "timestamp", "fraction"),
        (np.timedelta64(1, "M"), "interval_day_time", "no fixed length"),
        (5, "interval_day_time", "timedelta"),
        (5, "array<int>", "list"),
        ("ab", "array<string>", "list"),
        ([1, "x"], "array<int>", "not a whole number"),
        ({"a": 1, "x": 2}, "struct<a:int>", "no field 'x'"),
        ((1, 2), "struct<a:int>", "1 field"),
        ([("a", 1), ("a", 2)], "map<string,int>", "twice"),
        ({None: 1}, "map<string,int>", "None"),
        ([1], "map<string,int>", "dict"),
    ],
)
def test_what_does_not_fit(cell: Any, type_text: str, reason: str) -> None:
    columns = [Column("first", "bigint"), Column("second", type_text)]
    with pytest.raises(ValueTypeError) as caught:
        rows_to_batch([(1, None), (2, None), (3, cell)], (0, 1), columns)
    message = str(caught.value)
    assert reason in message
    for place in ("row 2", "'second'", "number 1", type_text.upper(), type(cell).__name__, "nothing of this call"):
        assert place in message


def test_a_value_does_not_show_in_the_error() -> None:
    with pytest.raises(ValueTypeError) as caught:
        written("very private text", "bigint")
    assert "private" not in str(caught.value)


@settings(deadline=None)
@given(st.lists(st.one_of(st.integers(), st.floats(), st.text(max_size=3), st.booleans(), st.none()), min_size=1))
def test_many_cells_are_taken_exactly_if_each_is(cells: list[Any]) -> None:
    """The paths for whole columns and for single cells agree, for every numeric type."""
    for type_text in ("bigint", "tinyint", "float", "double", "boolean", "decimal(10,2)", "datetime", "string"):
        for cast in (True, False):
            columns = [Column("c", type_text)]
            single = [column_of([cell], columns, cast) for cell in cells]
            whole = column_of(cells, columns, cast)
            expected = None if None in single else [cells_of_one[0] for cells_of_one in single if cells_of_one]
            assert repr(whole) == repr(expected)  # repr: NaN is not equal to itself


def column_of(cells: list[Any], columns: list[Column], cast: bool) -> list[Any] | None:
    """The cells as they are in the batch; None when they are refused."""
    try:
        batch = rows_to_batch([(cell,) for cell in cells], None, columns, allow_type_cast=cast)
    except ValueTypeError:
        return None
    return [row[0] for row in records_from_batches([batch])]


def test_unnamed_columns_are_null_and_columns_keep_the_tables_order() -> None:
    columns = [Column("a", "bigint"), Column("b", "string"), Column("c", "double")]
    batch = rows_to_batch([(0.5, 1), (None, 2)], [2, 0], columns)
    assert batch.schema.names == ["a", "b", "c"]
    assert records_from_batches([batch]).tolist() == [(1, None, 0.5), (2, None, None)]
    assert batch.schema.field("b").metadata == {b"odps.type": b"string"}


def test_not_null_columns_want_a_value() -> None:
    columns = [Column("a", "bigint", nullable=False), Column("b", "string")]
    for values, indices in (([(1, "x"), (None, "x")], [0, 1]), ([("x",), ("y",)], [1])):
        with pytest.raises(ValueTypeError, match=r"row [01], column 'a'.*NOT NULL"):
            rows_to_batch(values, indices, columns)


@pytest.mark.parametrize(
    ("indices", "reason"),
    [([0, 2], "no column 2"), ([0, -1], "no column -1"), ([0, 0], "twice"), (["a", "b"], "numbers"), (0, "numbers")],
)
def test_wrong_indices(indices: Any, reason: str) -> None:
    with pytest.raises(ColumnError, match=reason):
        rows_to_batch([(1, "x")], indices, [Column("a", "bigint"), Column("b", "string")])
