"""What programs rely on in ``TableWriter``, under each of its names. Cells one by one are in ``tests/face``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import aiopaiio
import paiio

from .conftest import Tables
from .faces import FACES, Face, face_of

COLUMNS = "a bigint, b string, c double"
TWO = [(1, "x", 0.5), (2, "y", 1.5)]


@pytest.fixture(params=FACES)
def face(request: pytest.FixtureRequest) -> Face:
    return face_of(request.param)


RECORD = np.array(TWO, [("a", np.int64), ("b", object), ("c", np.float64)])

# Makes the values anew for each test, as iterators are used up: what they are, the values, the rows that come of them.
SHAPES: dict[str, tuple[Callable[[], Any], list[Any]]] = {
    "a list of tuples": (lambda: list(TWO), TWO),
    "a tuple of tuples": (lambda: tuple(TWO), TWO),
    "a list of lists of mixed cells": (lambda: [[1, "x", 0.5], [np.int64(2), b"y", "1.5"]], TWO),
    "a tuple of lists": (lambda: (list(TWO[0]), list(TWO[1])), TWO),
    "one row as a tuple": (lambda: TWO[0], TWO[:1]),
    "one row as a list": (lambda: list(TWO[0]), TWO[:1]),
    "one row as an array of objects": (lambda: np.array(TWO[0], object), TWO[:1]),
    "one structured record": (lambda: RECORD[0], TWO[:1]),
    "a zip": (lambda: zip([1, 2], ["x", "y"], [0.5, 1.5], strict=True), TWO),
    "a generator": (lambda: (row for row in TWO), TWO),
    "a 2-D array": (lambda: np.array([["1", "x", "0.5"], ["2", "y", "1.5"]]), TWO),
    "a 2-D array of objects": (lambda: np.array(TWO, object), TWO),
    "a structured array": (lambda: RECORD, TWO),
    "a list of structured records": (lambda: [RECORD[0], RECORD[1]], TWO),
    "a list of 1-D arrays": (lambda: [np.array(row, object) for row in TWO], TWO),
    "an array of tuples": (lambda: np.fromiter(TWO, object, 2), TWO),
    "NULLs": (lambda: [(None, "x", None), (2, None, 1.5)], [(None, "x", None), (2, None, 1.5)]),
    "nothing": (list, []),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_of_values(face: Face, tables: Tables, shape: str) -> None:
    make, rows = SHAPES[shape]
    path = tables.new(COLUMNS)
    with face.TableWriter(path) as writer:
        writer.write(make(), (0, 1, 2))
    assert tables.rows(path) == rows


@pytest.mark.parametrize(
    "indices", [[0, 2], (0, 2), range(0, 3, 2), np.array([0, 2]), np.array([0, 2], np.uint8)], ids=repr
)
def test_every_kind_of_indices(face: Face, tables: Tables, indices: Any) -> None:
    path = tables.new(COLUMNS)
    with face.TableWriter(path) as writer:
        writer.write([(1, 0.5)], indices)
        writer.write([(2, 1.5)], indices=indices)
        writer.write([(3, 2.5)], col_indices=indices)
        # Columns in any order; those not named are NULL.
        writer.write([(3.5, 4)], [2, 0])
    assert tables.rows(path) == [(1, None, 0.5), (2, None, 1.5), (3, None, 2.5), (4, None, 3.5)]


def test_rows_of_one_cell(face: Face, tables: Tables) -> None:
    path = tables.new("a bigint")
    with face.TableWriter(path) as writer:
        for values in ([(1,), (2,)], [[3], [4]], (5,), [6], np.array([[7], [8]]), zip([9, 10], strict=True)):
            writer.write(values, [0])
    assert tables.rows(path) == [(number,) for number in range(1, 11)]


def test_text_into_columns_of_numbers(face: Face, tables: Tables) -> None:
    path = tables.new("a bigint, b double, c boolean, d int, e float, f decimal(10,2)")
    with face.TableWriter(path) as writer:
        writer.write([("12", "1.5", "true", " -3 ", "1e3", "1.50"), ("0", "nan", "0", "+7", "inf", "2")], range(6))
        writer.write((b"5", b"2", b"1", b"6", b"0.5", b"0"), range(6), allow_type_cast=True)
        for wrong in ("1.0", "", "1_0", "twelve", "9223372036854775808"):
            with pytest.raises(aiopaiio.ValueTypeError, match=r"'a'.*BIGINT"):
                writer.write([(1,), (wrong,)], [0])
        for values, indices in ((("1",), [0]), (("1.5",), [1]), (("true",), [2]), ((1,), [2]), ((True,), [0])):
            with pytest.raises(aiopaiio.ValueTypeError):
                writer.write(values, indices, allow_type_cast=False)
        writer.write([(7, 7.5, False)], [0, 1, 2], False)
    rows = tables.rows(path)
    assert [row[0] for row in rows] == [12, 0, 5, 7]
    assert [row[2] for row in rows] == [True, False, True, False]
    assert np.isnan(rows[1][1])
    assert (rows[0][3], rows[1][4], str(rows[0][5])) == (-3, float("inf"), "1.50")


def test_a_writer_for_each_batch_appends(face: Face, tables: Tables) -> None:
    path = tables.new("a bigint")
    for number in range(3):
        writer = face.TableWriter(path, slice_id=3) if number else face.TableWriter(path, 3)
        writer.write([(number,)], [0])
        writer.close()
        writer.close()
    face.TableWriter(path).close()
    assert tables.rows(path) == [(0,), (1,), (2,)]


def test_a_missing_partition_is_created(face: Face, tables: Tables) -> None:
    path = tables.new("a bigint", partition="ds=1/hh=2")
    with face.TableWriter(path) as writer:
        writer.write((1,), [0])
    with face.TableWriter(path.replace("hh=2", "hh=3")) as writer:
        writer.write((2,), [0])
    assert tables.rows(path + "&ds=1/hh=3", selected_cols="hh,a") == [("2", 1), ("3", 2)]


def test_what_a_face_has_read_it_writes(face: Face, tables: Tables) -> None:
    path = tables.new(COLUMNS + ", d boolean, e datetime", [(*row, True, 5) for row in TWO] + [(None,) * 5])
    with face.TableReader(path) as reader, face.TableWriter(path) as writer:
        rows = reader.read(3)
        writer.write(rows, range(5))
        writer.write(rows[0], range(5))
    expected = tables.rows(path + "?start=0&end=3")
    assert tables.rows(path) == [*expected, *expected, expected[0]]


def test_the_same_slice_at_the_same_time(tables: Tables) -> None:
    path = tables.new("a bigint")
    with paiio.TableWriter(path, 1), pytest.raises(aiopaiio.SliceConflictError, match="slice 1"):
        face_of("common_io").TableWriter(path, 1)
