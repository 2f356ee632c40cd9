"""What programs rely on in ``TableReader``, under each of its names. What only ``paiio`` has is in ``tests/face``."""

from __future__ import annotations

import json
import pickle
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

import aiopaiio

from .conftest import Tables
from .faces import FACES, Face, face_of

ROWS = [(number, f"row {number}", number / 2) for number in range(10)]


@pytest.fixture(params=FACES)
def face(request: pytest.FixtureRequest) -> Face:
    return face_of(request.param)


@pytest.fixture(scope="module")
def ten(tables: Tables) -> str:
    return tables.new("id bigint, name string, half double", ROWS)


@pytest.fixture(scope="module")
def days(tables: Tables) -> str:
    """A partitioned table with rows 0 to 3 on one day and 4 to 9 on the next; the path of the first."""
    path = tables.new("id bigint, name string, half double", ROWS[:4], "ds=1/hh=07")
    with aiopaiio_writer(path.replace("ds=1", "ds=2")) as writer:
        writer.write(ROWS[4:])
    return path


def aiopaiio_writer(path: str) -> Any:
    return face_of("paiio").TableWriter(path)


def as_read(face: Face, rows: list[Any]) -> list[Any]:
    """The rows with texts as this face gives them."""
    return [tuple(face.text(cell) if isinstance(cell, str) else cell for cell in row) for row in rows]


def all_rows(face: Face, path: str, **options: Any) -> list[Any]:
    with face.TableReader(path, **options) as reader:
        return list(reader)


# ------------------------------------------------------------------------------------------------------------- reading


def test_a_loop_to_the_end(face: Face, ten: str) -> None:
    reader = face.TableReader(ten)
    batches = []
    with pytest.raises(face.OutOfRangeException, match="End of table reached!"):
        while True:
            batches.append(reader.read(5))
    for _ in range(2):
        with pytest.raises(EOFError):
            reader.read(5)
    reader.close()
    assert [list(batch) for batch in batches] == [as_read(face, ROWS[:5]), as_read(face, ROWS[5:])]


def test_hints_and_the_keyword_for_the_table(face: Face, ten: str) -> None:
    for num_threads, capacity in ((0, 0), (1, 1), (2, 3), (4, 1024), (10, 10_240), (12, 40_000), (64, 1 << 25)):
        options = {"num_threads": num_threads, "capacity": capacity}
        with face.TableReader(table=ten, **options) as reader:
            assert list(reader) == as_read(face, ROWS)


def test_a_short_tail(face: Face, ten: str) -> None:
    with face.TableReader(ten) as reader:
        reader.read(num_records=8)
        if face.plain:
            for tries in range(2):
                with pytest.raises(face.OutOfRangeException):
                    reader.read(4) if tries else reader.read(4, allow_smaller_final_batch=False)
            # What did not come is still there.
            assert reader.read(1) == as_read(face, ROWS[8:9])
        else:
            assert len(reader.read(1)) == 1
        assert list(reader.read(4, allow_smaller_final_batch=True)) == as_read(face, ROWS[9:])
        with pytest.raises(face.OutOfRangeException):
            reader.read(4, allow_smaller_final_batch=True)
    # Iterating ends with the last row, not with the last full batch.
    assert all_rows(face, ten) == as_read(face, ROWS)


def test_no_rows_asked_for(face: Face, ten: str) -> None:
    with face.TableReader(ten, slice_id=0, slice_count=10) as reader:
        assert len(reader.read(0)) == 0
        reader.read()
        with pytest.raises(face.OutOfRangeException):
            reader.read(0)


def test_what_programs_do_with_rows(face: Face, ten: str) -> None:
    with face.TableReader(ten) as reader:
        rows = reader.read(3)
        nothing = reader.read(0)
    assert (rows or []) is rows
    assert list(nothing or []) == []
    assert isinstance(rows, list) if face.plain else isinstance(rows, np.recarray)
    for row in (rows[0], next(iter(rows)), rows[-3]):
        assert type(row) is tuple
        assert [type(cell) for cell in row] == [int, type(face.text("")), float]
        assert row[:2] == as_read(face, ROWS)[0][:2]
    json.dumps([[cell for cell in row if not isinstance(cell, bytes)] for row in rows])
    assert next(zip(*rows, strict=True)) == (0, 1, 2)
    gathered: list[Any] = []
    gathered.extend(rows)
    gathered += rows
    assert gathered == as_read(face, ROWS[:3]) * 2
    assert list(pickle.loads(pickle.dumps(rows))) == as_read(face, ROWS[:3])
    assert list(rows[1:]) == as_read(face, ROWS[1:3])
    ids, names, halves = map(list, zip(*rows, strict=True))
    assert (ids, halves) == ([0, 1, 2], [0.0, 0.5, 1.0])
    assert names == [face.text(f"row {number}") for number in range(3)]
    if not face.plain:
        assert rows["id"].dtype == np.int64
        assert rows["half"].tolist() == halves


def test_null_is_none_in_every_column(face: Face, tables: Tables) -> None:
    path = tables.new("a bigint, b double, c boolean, d string, e datetime", [(1, 1.0, True, "", 5), (None,) * 5])
    with face.TableReader(path) as reader:
        rows = reader.read(2)
        assert list(rows) == [(1, 1.0, True, face.text(""), 5), (None,) * 5]
        assert all(cell is None for cell in rows[1])
        if not face.plain:
            assert rows["a"].dtype == object
        assert [type(cell) for cell in rows[0]] == [int, float, bool, type(face.text("")), int]


def test_texts_and_bytes(face: Face, tables: Tables) -> None:
    cells = [("é", b"\x00\xff"), (b"\xff\xfe", b""), ("", None)]
    path = tables.new("a string, b binary", cells)
    given = all_rows(face, path)
    if face.text("") == "":
        assert given == [("é", b"\x00\xff"), ("\udcff\udcfe", b""), ("", None)]
    else:
        assert given == [("é".encode(), b"\x00\xff"), (b"\xff\xfe", b""), (b"", None)]
    assert all_rows(face, path, string_as="str")[0][0] == "é"
    assert all_rows(face, path, string_as="bytes")[1][0] == b"\xff\xfe"
    with pytest.MonkeyPatch.context() as environment:
        for string_as, text in (("str", "é"), ("bytes", "é".encode())):
            environment.setenv("PAIIO_STRING_AS", string_as)
            assert all_rows(face, path)[0][0] == text
            assert all_rows(face, path, string_as="bytes")[0][0] == "é".encode()
        environment.setenv("PAIIO_STRING_AS", "")
        assert all_rows(face, path) == given
        environment.setenv("PAIIO_STRING_AS", "utf-8")
        with pytest.raises(aiopaiio.UsageError, match="PAIIO_STRING_AS"):
            face.TableReader(path)
    # Written back as it was read it is the same again.
    with face.TableWriter(path) as writer:
        writer.write(given, [0, 1])
    assert all_rows(face, path, string_as="bytes") == all_rows(face, path + "?start=0&end=3", string_as="bytes") * 2


# ------------------------------------------------------------------------------------------------------ slices, columns


def test_slices(face: Face, ten: str) -> None:
    found, places = [], []
    for slice_id in range(4):
        with face.TableReader(ten, slice_id=slice_id, slice_count=4) as reader:
            places.append((reader.start_pos, reader.end_pos, reader.get_row_count()))
            found += list(reader)
    assert found == as_read(face, ROWS)
    # As programs compute it themselves.
    size, more = divmod(10, 4)
    starts = [number * size + min(number, more) for number in range(5)]
    assert places == [(a, b, b - a) for a, b in pairwise(starts)]
    with face.TableReader(ten, "", "", 11, 12) as reader, pytest.raises(face.OutOfRangeException):
        reader.read()
    for slice_id, slice_count in ((4, 4), (-1, 4), (0, 0)):
        with pytest.raises(ValueError, match="slice"):
            face.TableReader(ten, slice_id=slice_id, slice_count=slice_count)


def test_columns(face: Face, days: str) -> None:
    def names_and_row(**options: Any) -> tuple[list[str], Any]:
        with face.TableReader(days, **options) as reader:
            return [column[0] for column in reader.get_schema()], reader.read(1)[0]

    text = face.text
    assert names_and_row(selected_cols="", excluded_cols="") == (["id", "name", "half"], (0, text("row 0"), 0.0))
    assert names_and_row(selected_cols="HALF , hh, Id,ds") == (
        ["half", "hh", "id", "ds"],
        (0.0, text("07"), 0, text("1")),
    )
    assert names_and_row(selected_cols="", excluded_cols="Name, half") == (["id"], (0,))
    with pytest.raises(ValueError, match="together"):
        names_and_row(selected_cols="id", excluded_cols="name")


def test_schema(face: Face, ten: str) -> None:
    with face.TableReader(ten) as reader:
        schema = reader.get_schema()
    assert schema[1]["colname"] == schema[1][0] == "name"
    assert [typestr for _, typestr, _ in schema] == ["bigint", "string", "double"]
    assert all(type(column["typestr"]) is str for column in schema)
    assert schema.tolist() == [("id", "bigint", int), ("name", "string", object), ("half", "double", float)]
    assert len(schema) == 3
    assert {name: position for position, (name, _, _) in enumerate(schema)}["half"] == 2


# --------------------------------------------------------------------------------------------------------------- seeks


def test_seek(face: Face, ten: str) -> None:
    with face.TableReader(ten, slice_id=1, slice_count=2) as reader:
        part = as_read(face, ROWS[5:])
        if not face.plain:
            reader.seek(2)
            assert reader.read()[0] == part[2]
            with pytest.raises(face.OutOfRangeException):
                reader.seek(6)
            with pytest.raises(face.OutOfRangeException):
                reader.seek(0)
            return
        for row in (7, 5, 9, 6):
            reader.seek(row)
            assert reader.read() == as_read(face, ROWS[row : row + 1])
        # The cursor is at row 7.
        reader.seek(-2)
        assert reader.read(2) == as_read(face, ROWS[5:7])
        for row in (10, 11):
            with pytest.raises(face.OutOfRangeException):
                reader.seek(row)
        for row in (4, 0, -3):
            with pytest.raises(aiopaiio.SliceError, match="begins with row 5"):
                reader.seek(row)
        with pytest.raises(aiopaiio.UsageError, match="whole number"):
            reader.seek("5")
        # None of that moved it.
        assert reader.read() == as_read(face, ROWS[7:8])


def test_rewinding_after_the_end(ten: str) -> None:
    face = face_of("common_io")
    with face.TableReader(ten) as reader:
        for _ in range(3):
            assert len(reader.read(10)) == 10
            with pytest.raises(face.OutOfRangeException):
                reader.read(10)
            reader.seek(-reader.get_row_count())
        assert reader.read(3) == ROWS[:3]
        reader.seek(reader.end_pos - 1)
        assert reader.read(10, allow_smaller_final_batch=True) == ROWS[9:]
        reader.seek(reader.start_pos)
        assert reader.read() == ROWS[:1]
        reader.seek(np.int64(4))
        assert reader.read() == ROWS[4:5]


# ------------------------------------------------------------------------------------------------------- paths, closing


def test_paths(face: Face, ten: str, days: str, tables: Tables) -> None:
    assert all_rows(face, ten + "?start=2&end=7") == as_read(face, ROWS[2:7])
    assert all_rows(face, days + "&ds=2/hh=07") == as_read(face, ROWS)
    assert all_rows(face, days + "&ds=2/hh=07?start=3&end=6") == as_read(face, ROWS[3:6])
    assert all_rows(face, ten.upper().replace("ODPS:", "odps:").replace("TABLES", "tables")) == as_read(face, ROWS)
    with face.TableReader(ten + "?start=2&end=7", slice_id=1, slice_count=2) as reader:
        assert (reader.start_pos, reader.end_pos, list(reader)) == (5, 7, as_read(face, ROWS[5:7]))
    with face.TableReader(ten + "?start=4&end=4") as reader:
        assert (reader.start_pos, reader.end_pos, reader.get_row_count()) == (4, 4, 0)
        with pytest.raises(face.OutOfRangeException):
            reader.read()
    for wrong in ("?start=1&end=2?start=1", "?start=1", "?from=1&to=2", "?start=a&end=2", "?start=3&end=2"):
        with pytest.raises(ValueError, match="odps://"):
            face.TableReader(ten + wrong)
    for wrong in ("demo.t0", "odps://demo/t0", "http://demo/tables/t", "odps://demo/tables/t/ds"):
        with pytest.raises(ValueError, match="odps://PROJECT/tables/TABLE"):
            face.TableReader(wrong)
    with pytest.raises(ValueError, match="beyond the end"):
        face.TableReader(ten + "?start=5&end=11")


def test_tables_in_a_schema(face: Face, tables: Tables) -> None:
    name = f"in_schema_{FACES.index(face.name)}"
    tables.sql("create schema if not exists s")
    tables.sql(f"create table {name} (a bigint)", schema="s")
    forms = [f"odps://demo/tables/s.{name}", f"odps://demo/schemas/s/tables/{name}"]
    for number, path in enumerate(forms):
        with face.TableWriter(path) as writer:
            writer.write((number,), [0])
        assert [all_rows(face, form) for form in forms] == [[(n,) for n in range(number + 1)]] * 2


def test_closing(face: Face, ten: str) -> None:
    reader = face.TableReader(ten)
    reader.read(1)
    reader.close()
    reader.close()
    for use in (reader.read, lambda: reader.read(0), lambda: reader.read(99), reader.seek, reader.get_schema):
        with pytest.raises(aiopaiio.ClosedError, match="closed"):
            use()


def test_the_end_is_told_apart_from_errors(face: Face) -> None:
    assert issubclass(face.OutOfRangeException, (EOFError, aiopaiio.OutOfRange))
    assert not issubclass(aiopaiio.TransportError, face.OutOfRangeException)
    copied = pickle.loads(pickle.dumps(face.OutOfRangeException("End of table reached!", table="demo.t")))
    assert (type(copied), str(copied)) == (face.OutOfRangeException, "End of table reached! (table demo.t)")


def test_tensorflows_own_class_catches_the_end(ten: str) -> None:
    face = face_of("tf.python_io")
    import tensorflow as tf

    with face.TableReader(ten) as reader:
        reader.seek(10)
        for kind in (tf.errors.OutOfRangeError, tf.errors.OpError, tf.compat.v1.errors.OutOfRangeError):
            with pytest.raises(kind) as caught:
                reader.read()
        error = caught.value
        assert (error.message, error.op, error.error_code) == ("End of table reached!", None, tf.errors.OUT_OF_RANGE)


def test_one_core(face: Face) -> None:
    """A face overrides what its rules differ in, and nothing else."""
    own = {name for name in vars(face.TableReader) if not name.startswith("__")}
    allowed = {"common_io": {"read", "seek"}, "tf.python_io": {"_end_of_table", "_usual_string_as"}}
    if face.name in allowed:
        assert own == allowed[face.name]
        assert face.TableReader.__bases__ == (face_of("paiio").TableReader,)
    assert face.TableWriter is face_of("paiio").TableWriter
