"""The shapes in which rows are passed to a writer."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from aiopaiio.cells import rows_to_batch
from aiopaiio.errors import ValueTypeError
from aiopaiio.records import records_from_batches
from aiopaiio.schema import Column

COLUMNS = [Column("a", "bigint"), Column("b", "double"), Column("c", "string")]
ONE = [(1, 0.5, "x")]
TWO = [(1, 0.5, "x"), (2, 1.5, "y")]
STRUCTURED = np.array(TWO, [("p", "i4"), ("q", "f4"), ("r", "U3")])
INDICES = [[0, 1, 2], (0, 1, 2), range(3), np.arange(3), None]


def written(values: Any, indices: Any = (0, 1, 2)) -> list[Any]:
    batch = rows_to_batch(values, indices, COLUMNS)
    return records_from_batches([batch]).tolist()


def objects(elements: list[Any]) -> np.ndarray[Any, Any]:
    array = np.empty(len(elements), object)
    array[:] = elements
    return array


@pytest.mark.parametrize("indices", INDICES, ids=repr)
def test_indices(indices: Any) -> None:
    assert written(TWO, indices) == TWO


@pytest.mark.parametrize(
    "values",
    [
        (1, 0.5, "x"),
        [1, 0.5, "x"],
        objects([1, 0.5, "x"]),
        STRUCTURED[0],
        STRUCTURED[0:1][0],
        np.array(["1", "0.5", "x"]),
    ],
    ids=["tuple", "list", "array", "record", "record of a slice", "array of text"],
)
def test_one_row(values: Any) -> None:
    assert written(values) == ONE


@pytest.mark.parametrize(
    "values",
    [
        TWO,
        tuple(TWO),
        [list(row) for row in TWO],
        objects(TWO),
        [objects(list(row)) for row in TWO],
        list(STRUCTURED),
        STRUCTURED,
        STRUCTURED.view(np.recarray),
        records_from_batches([rows_to_batch(TWO, None, COLUMNS)]),
        np.array(TWO, object),
        np.array([["1", "0.5", "x"], ["2", "1.5", "y"]]),
    ],
    ids=[
        *("list of tuples", "tuple of tuples", "list of lists", "array of tuples", "list of arrays", "list of records"),
        *("structured array", "record array", "records of a read", "2-D array of objects", "2-D array of text"),
    ],
)
def test_many_rows(values: Any) -> None:
    assert written(values) == TWO


def test_iterators() -> None:
    assert written(zip([1, 2], [0.5, 1.5], ["x", "y"], strict=True)) == TWO
    assert written(row for row in TWO) == TWO
    assert written(iter((1, 0.5, "x"))) == ONE
    assert written(pd.DataFrame(TWO, columns=list("abc")).itertuples(index=False)) == TWO


def test_numbers_in_a_2d_array_go_to_their_columns() -> None:
    assert written(np.array([[1, 0.5], [2, 1.5]]), [0, 1]) == [(1, 0.5, None), (2, 1.5, None)]
    assert written(np.array([[1, 2], [3, 4]], "i2").T, [0, 1]) == [(1, 3.0, None), (2, 4.0, None)]
    assert written(np.array([[1, 2]], ">i8"), [0, 1]) == [(1, 2.0, None)]


def test_rows_of_one_cell() -> None:
    assert written([(1,), (2,)], [0]) == [(1, None, None), (2, None, None)]
    assert written([["x"], ["y"]], [2]) == [(None, None, "x"), (None, None, "y")]
    assert written(["x"], [2]) == [(None, None, "x")]
    assert written(("x",), [2]) == [(None, None, "x")]


@pytest.mark.parametrize("values", [[], (), np.array([]), STRUCTURED[:0], np.empty((0, 3)), iter(())], ids=repr)
def test_no_rows(values: Any) -> None:
    assert written(values) == []


def test_masked_cells_are_null() -> None:
    assert written(np.ma.masked_array([[1, 2]], [[False, True]]), [0, 1]) == [(1, None, None)]


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ("text", "not str"),
        (5, "not int"),
        (None, "not NoneType"),
        ({"a": 1}, "not dict"),
        ({1, 2, 3}, "not set"),
        ([(1, 0.5, "x"), 5], "row 1 is of class int"),
        ([(1, 0.5, "x"), (1, 0.5)], "row 1 has 2 cells, row 0 has 3"),
        ([(1, 0.5)], "2 cells, but indices name 3"),
        ([()], "no cells"),
        (np.zeros((1, 1, 1)), "not 3"),
        (np.array(5), "not 0"),
        (pd.DataFrame(TWO), "itertuples"),
        (pa.table({"a": [1]}), "not a Table"),
    ],
    ids=lambda case: type(case).__name__,
)
def test_what_is_no_row(values: Any, reason: str) -> None:
    with pytest.raises(ValueTypeError, match=reason):
        written(values)


def test_more_cells_than_columns() -> None:
    with pytest.raises(ValueTypeError, match="3 columns"):
        rows_to_batch((1, 2, 3, 4), None, COLUMNS)
