"""What a dataset of a table's rows looks like and gives."""

from __future__ import annotations

import time
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

tf = pytest.importorskip("tensorflow", reason="datasets need TensorFlow")

import paiio  # noqa: E402
from aiopaiio import errors  # noqa: E402
from aiopaiio.local import LocalService  # noqa: E402
from paiio.data._iteration import Iteration  # noqa: E402

from .conftest import DEFAULTS, MakeTable, numbered, numbered_rows, rows_of  # noqa: E402

Dataset = paiio.TableRecordDataset


def failure_of(dataset: object) -> str:
    """The first line of the error that iterating ends with."""
    with pytest.raises(tf.errors.OpError) as caught:
        rows_of(dataset)
    return str(caught.value.message).splitlines()[0]


def test_is_a_dataset_of_rows(make_table: MakeTable) -> None:
    dataset = paiio.data.TableRecordDataset(make_table(numbered(20)), DEFAULTS)
    assert isinstance(dataset, tf.data.Dataset)
    assert isinstance(dataset, tf.compat.v1.data.Dataset)
    assert dataset.element_spec == (
        tf.TensorSpec([], tf.int32),
        tf.TensorSpec([], tf.float32),
        tf.TensorSpec([], tf.string),
    )
    assert rows_of(dataset) == numbered_rows(20)
    # As often as one likes.
    assert rows_of(dataset) == numbered_rows(20)
    assert rows_of(dataset.batch(7).unbatch()) == numbered_rows(20)


def test_one_column_is_a_tuple_too(make_table: MakeTable) -> None:
    dataset = Dataset(make_table(numbered(3)), [np.int64(0)], selected_cols="ID")
    assert dataset.element_spec == (tf.TensorSpec([], tf.int64),)
    assert rows_of(dataset) == [(0,), (1,), (2,)]
    assert rows_of(dataset.batch(2)) == [([0, 1],), ([2],)]


def test_columns_come_in_the_order_asked(make_table: MakeTable) -> None:
    path = make_table(numbered(2))
    assert rows_of(Dataset(path, ["", 0], selected_cols="text, id")) == [(b"", 0), (b"n1", 1)]
    assert rows_of(Dataset(path, [0, ""], excluded_cols="half")) == [(0, b""), (1, b"n1")]


def test_partition_columns_when_asked_for(make_table: MakeTable) -> None:
    path = make_table(numbered(2), "ds=1/hh=07")
    assert rows_of(Dataset(path, tuple(DEFAULTS))) == numbered_rows(2)
    assert rows_of(Dataset(path, ["", 0, ""], selected_cols="hh,id,ds")) == [(b"07", 0, b"1"), (b"07", 1, b"1")]


@pytest.mark.parametrize(
    ("values", "default", "dtype", "expected"),
    [
        (pa.array([1, None, -(2**31)], pa.int64()), 7, "int32", [1, 7, -(2**31)]),
        (pa.array([2**63 - 1, None, -(2**63)], pa.int64()), np.int64(7), "int64", [2**63 - 1, 7, -(2**63)]),
        (pa.array([1, None], pa.int32()), 7, "int32", [1, 7]),
        (pa.array([1, None], pa.int16()), [7], "int32", [1, 7]),
        (pa.array([1, None], pa.int8()), np.int64(7), "int64", [1, 7]),
        (pa.array([1.5, None, float("inf")], pa.float64()), 0.0, "float32", [1.5, 0.0, float("inf")]),
        (pa.array([0.1, None], pa.float64()), np.float64(0.5), "float64", [0.1, 0.5]),
        (pa.array([1.5, None], pa.float32()), [np.float64(0.5)], "float64", [1.5, 0.5]),
        (pa.array([1, None, 2**24], pa.int64()), 0.5, "float32", [1.0, 0.5, 2.0**24]),
        (pa.array([True, None, False] * 5), True, "bool", [True, True, False] * 5),
        (pa.array(["a", None, ""]), "x", "string", [b"a", b"x", b""]),
        (pa.array(["a", None]), np.array(["x"]), "string", [b"a", b"x"]),
        (pa.array([b"\xff\x00", None, b"x" * 300], pa.binary()), b"\xfe", "string", [b"\xff\x00", b"\xfe", b"x" * 300]),
        (pa.array([1500, None], pa.timestamp("ms")), np.int64(-1), "int64", [1500, -1]),
        (pa.array([Decimal("1.25"), None], pa.decimal128(10, 2)), np.float64(0), "float64", [1.25, 0.0]),
    ],
)  # fmt: skip
def test_types_and_defaults(
    make_table: MakeTable, values: pa.Array, default: object, dtype: str, expected: list[object]
) -> None:
    dataset = Dataset(make_table(pa.record_batch({"c": values})), [default])
    assert dataset.element_spec == (tf.TensorSpec([], dtype),)
    assert [value for (value,) in rows_of(dataset.batch(2).unbatch())] == expected


def test_defaults_may_be_tensors(make_table: MakeTable) -> None:
    path = make_table(numbered(1))
    dataset = Dataset(path, [tf.constant([3], tf.int64), tf.constant(0.5, tf.float64), tf.constant("none")])
    assert [spec.dtype for spec in dataset.element_spec] == [tf.int64, tf.float64, tf.string]


def test_texts_are_their_bytes(make_table: MakeTable) -> None:
    raw = [b"\xff\xfe", b"", b"\x00", "🙂".encode()]
    texts = pa.array(raw, pa.binary()).view(pa.string())
    path = make_table(pa.RecordBatch.from_arrays([texts], names=["c"]))
    assert rows_of(Dataset(path, [""])) == [(text,) for text in raw]


# --------------------------------------------------------------------------------------------------------- filenames


def test_every_form_of_filenames(make_table: MakeTable) -> None:
    paths = [make_table(numbered(4)), make_table(numbered(3, 4)) + "?start=1&end=3"]
    expected = numbered_rows(4) + numbered_rows(2, 5)
    forms = [
        paths,
        tuple(paths),
        ",".join(paths),
        np.array(paths),
        tf.constant(paths),
        tf.data.Dataset.from_tensor_slices(paths),
        tf.data.Dataset.from_tensors(paths),
    ]
    for filenames in forms:
        assert rows_of(Dataset(filenames, DEFAULTS)) == expected
    # Batches go on from one table to the next.
    assert [len(ids) for ids, _, _ in rows_of(Dataset(forms[-2], DEFAULTS).batch(5))] == [5, 1]
    assert rows_of(Dataset(tf.constant(paths[0]), DEFAULTS)) == expected[:4]


def test_filenames_known_only_while_running(make_table: MakeTable) -> None:
    paths = [make_table(numbered(4)), make_table(numbered(3, 4))]
    files = tf.data.Dataset.from_tensor_slices(paths)
    each = files.interleave(lambda path: Dataset(path, DEFAULTS).batch(2), cycle_length=2)
    assert [ids for ids, _, _ in rows_of(each)] == [[0, 1], [4, 5], [2, 3], [6]]
    assert rows_of(files.flat_map(lambda path: Dataset(path, DEFAULTS).skip(1))) == (
        numbered_rows(3, 1) + numbered_rows(2, 5)
    )


def test_several_partitions_and_slices(make_table: MakeTable) -> None:
    path = make_table(numbered(5), "ds=1")
    make_table(numbered(6, 5), "ds=2", path.split("/")[-2])
    both = path + "&ds=2"
    parts = [rows_of(Dataset(both, DEFAULTS, slice_id=part, slice_count=3)) for part in range(3)]
    assert [len(part) for part in parts] == [4, 4, 3]
    assert [row for part in parts for row in part] == numbered_rows(11)


def test_slices_of_each_of_several_tables(make_table: MakeTable) -> None:
    paths = [make_table(numbered(5)), make_table(numbered(2, 5))]
    assert rows_of(Dataset(paths, DEFAULTS, slice_id=1, slice_count=2)) == numbered_rows(2, 3) + numbered_rows(1, 6)


def test_empty_tables_and_slices(make_table: MakeTable) -> None:
    empty = make_table(numbered(0))
    assert rows_of(Dataset(empty, DEFAULTS)) == []
    assert rows_of(Dataset(empty, DEFAULTS).repeat().shuffle(5).batch(3)) == []
    assert rows_of(Dataset([empty, make_table(numbered(2)), empty], DEFAULTS)) == numbered_rows(2)
    assert rows_of(Dataset(make_table(numbered(1)), DEFAULTS, slice_id=1, slice_count=2)) == []


@pytest.mark.parametrize("next_is", ["table", "pass"])
def test_what_comes_next_is_opened_ahead(
    make_table: MakeTable, service: LocalService, monkeypatch: pytest.MonkeyPatch, next_is: str
) -> None:
    monkeypatch.setattr("paiio.data._tables._WAITING_BYTES", 1)
    path = make_table(numbered(5))
    name = path.split("/")[-1]
    for _ in range(4):
        make_table(numbered(5), "", name)  # appends; batches do not span what was appended at once
    paths = [path, path] if next_is == "table" else [path]
    dataset = Dataset(paths, DEFAULTS).repeat(1 if next_is == "table" else 2)
    # Without TensorFlow, which may ask for more than it is asked for.
    iteration = Iteration(dataset._read, dataset._plan, dataset._layout, [path.encode() for path in paths])
    before = service.statistics.requests["create_download"]
    arrays = iteration.arrays()
    while not next(arrays)[0].size:
        pass
    # Not even the first pass over the first table is at its end.
    while service.statistics.requests["create_download"] < before + 2:
        time.sleep(0.001)
    assert sum(ids.size for ids, *_ in arrays) > 25
    assert service.statistics.requests["create_download"] == before + 2


# ------------------------------------------------------------------------------------------------------------ errors


def test_a_wrong_number_of_columns(make_table: MakeTable) -> None:
    message = failure_of(Dataset(make_table(numbered(1), name="six"), [0, 0.0]))
    expected = (
        "Column size of the record to be saved: '3' does not match the default record column size: '2'. "
        "(table demo.six, session "
    )
    assert "RecordDefaultsError: " + expected in message
    assert "request id " in message


@pytest.mark.parametrize(
    ("values", "default"),
    [
        (pa.array(["1"]), 0),
        (pa.array(["1"]), 0.0),
        (pa.array([1], pa.int64()), ""),
        (pa.array([1], pa.int64()), False),
        (pa.array([1.0], pa.float64()), 0),
        (pa.array([1.0], pa.float64()), ""),
        (pa.array([True]), 0),
        (pa.array([0], pa.date32()), 0),
    ],
)
def test_columns_that_cannot_be_read_so(make_table: MakeTable, values: pa.Array, default: object) -> None:
    message = failure_of(Dataset(make_table(pa.record_batch({"wrong": values})), [default]))
    for part in ("RecordDefaultsError: column 'wrong' is ", "cannot be read as", "(table demo.t", "request id "):
        assert part in message


@pytest.mark.parametrize(
    ("values", "default", "shown"),
    [
        (pa.array([1, 2, None, 2**31], pa.int64()), 0, "2147483648 does not fit int32"),
        pytest.param(
            pa.array([1, 2, None, -(2**31) - 1], pa.int64()),
            0,
            "-2147483649 does not fit int32",
            marks=pytest.mark.slow,
        ),
        (pa.array([1, 2, None, 1e39], pa.float64()), 0.0, "1e+39 does not fit float32"),
        (pa.array([1, 2, None, 2**24 + 1], pa.int64()), 0.0, "16777217 does not fit float32"),
        pytest.param(
            pa.array([1, 2, None, 2**63 - 1], pa.int64()),
            np.float64(0),
            "9223372036854775807 does not fit float64",
            marks=pytest.mark.slow,
        ),
        (pa.array([1, 2, None, 2**40], pa.timestamp("ms")), 0, "1099511627776 does not fit int32"),
    ],
)
def test_values_out_of_range_come_at_their_row(
    make_table: MakeTable, values: pa.Array, default: object, shown: str
) -> None:
    dataset = Dataset(make_table(pa.record_batch({"big": values})), [default])
    seen = []
    with pytest.raises(tf.errors.OpError) as caught:
        for (value,) in dataset:
            seen.append(value.numpy())
    assert seen == [1, 2, default]
    first_line = caught.value.message.splitlines()[0]
    for part in ("ValueRangeError: column 'big': ", shown, "(table demo.t", "request id "):
        assert part in first_line
    # Whole batches before it come, too.
    assert len(rows_of(dataset.batch(2).take(1))) == 1
    assert shown in failure_of(dataset.batch(2))
    assert shown in failure_of(dataset.shuffle(3))
    # A NULL hides anything.
    assert len(rows_of(dataset.take(3))) == 3


def test_the_first_row_out_of_range_is_named_whatever_its_column(make_table: MakeTable) -> None:
    rows = pa.record_batch(
        {
            "late": pa.array([0, 1, 2, 3, 2**31], pa.int64()),
            "early": pa.array([0.0, 1.0, 1e39, 3.0, 4.0], pa.float64()),
            "between": pa.array([0, 1, 2, 2**31, 4], pa.int64()),
        }
    )
    seen = []
    with pytest.raises(tf.errors.OpError) as caught:
        for row in Dataset(make_table(rows), [0, 0.0, 0]):
            seen.append(int(row[0]))
    assert seen == [0, 1]
    assert "column 'early'" in caught.value.message.splitlines()[0]
    assert "request id" in caught.value.message.splitlines()[0]


def test_tables_of_different_schemas(make_table: MakeTable) -> None:
    paths = [make_table(numbered(2)), make_table(pa.record_batch({"id": pa.array([1], pa.int64())}))]
    message = failure_of(Dataset(paths, DEFAULTS))
    assert f"SchemaMismatchError: {paths[1]} and {paths[0]} have different schemas" in message
    assert rows_of(Dataset(paths, DEFAULTS).take(2)) == numbered_rows(2)


def test_a_column_that_is_not_there(make_table: MakeTable) -> None:
    message = failure_of(Dataset(make_table(numbered(1)), DEFAULTS, selected_cols="id,half,txt"))
    for part in ("ColumnError: no column 'txt'; did you mean 'text'?", "(table demo.t", "request id "):
        assert part in message


def test_no_such_table() -> None:
    assert failure_of(Dataset("odps://demo/tables/missing", [0])).count("NoSuchTable: ") == 1


@pytest.mark.parametrize(
    "arguments",
    [
        {"selected_cols": "a", "excluded_cols": "b"},
        {"slice_id": 1},
        {"slice_id": -1, "slice_count": 2},
        {"slice_count": 0},
        {"num_threads": -1},
        {"capacity": -1},
        {"slice_id": "x"},
        {"record_defaults": []},
        {"record_defaults": 0},
        {"record_defaults": [None]},
        {"record_defaults": [[1, 2]]},
        {"record_defaults": [2**31]},
        {"record_defaults": [1j]},
        {"record_defaults": [np.uint8(1)]},
        {"filenames": "tables/t"},
        {"filenames": []},
        {"filenames": 5},
        {"filenames": [None]},
        {"filenames": Path("table")},
        {"filenames": "odps://p/tables/t?start=5"},
    ],
)
def test_arguments_that_cannot_be_right(arguments: dict[str, object]) -> None:
    with pytest.raises(errors.UsageError):
        Dataset(**({"filenames": "odps://p/tables/t", "record_defaults": [0]} | arguments))


@pytest.mark.parametrize(
    ("processors", "num_threads", "streams"),
    [(1, 0, 1), (7, 0, 1), (8, 0, 2), (400, 0, 64), (8, 1, 1), (8, 64, 64), (8, 1000, 64)],
)
def test_downloads_at_once(monkeypatch: pytest.MonkeyPatch, processors: int, num_threads: int, streams: int) -> None:
    monkeypatch.setattr("paiio.data._dataset._processors", lambda: processors)
    read = Dataset("odps://p/tables/t", [0], num_threads=num_threads)._read
    assert read.options()["concurrency"] == streams
    # About 64 MB for each, but not without limit.
    assert read.memory_limit_bytes == min(streams * 2 * 64 << 20, 1 << 30)


@pytest.mark.parametrize(("num_threads", "capacity"), [(64, 2**25), (1, 1), (2, 3), (1000, 0)])
def test_extremes_of_prefetch(make_table: MakeTable, num_threads: int, capacity: int) -> None:
    path = make_table(numbered(1000))
    dataset = Dataset(path, DEFAULTS, num_threads=num_threads, capacity=capacity)
    assert rows_of(dataset.batch(1000)) == rows_of(Dataset(path, DEFAULTS).batch(1000))


def test_a_skip_downloads_nothing_of_what_is_skipped(make_table: MakeTable, service: LocalService) -> None:
    path = make_table(numbered(100_000))

    def sent_bytes(dataset: object) -> int:
        before = service.statistics.sent_bytes
        rows_of(dataset)
        return service.statistics.sent_bytes - before

    dataset = Dataset(path, DEFAULTS)
    whole = sent_bytes(dataset.batch(1000))
    assert whole > 1_000_000
    assert rows_of(dataset.skip(99_995)) == numbered_rows(5, 99_995)
    assert sent_bytes(dataset.skip(99_000)) < whole / 50
    assert sent_bytes(dataset.batch(1000).skip(99)) < whole / 50
    assert sent_bytes(dataset.take(1000)) < whole / 50
    assert sent_bytes(dataset.batch(10).skip(50).take(10)) < whole / 50
    assert rows_of(dataset.skip(-1)) == []
