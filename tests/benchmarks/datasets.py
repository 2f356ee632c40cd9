"""How fast does a table feed TensorFlow? 10, 100 and 1000 columns of mixed types; needs TensorFlow.

Every contender gives the same batches of 1024 rows (or rows), which a compiled function takes in without Python; it
counts rows and adds up the numbers in the first column. Before its first round all columns of a contender are added up
and compared. Those that are too slow for the whole table do its first rows only.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import tensorflow as tf

import paiio
from paiio import python_io
from tests.benchmarks.bench import Bench, table_path
from tests.benchmarks.made_rows import mixed_columns
from tests.benchmarks.measuring import Case, Contender, WrongRows

_PEER = "row-wise from_generator"
_BATCH_ROWS = 1024
_SHUFFLE_ROWS = 100_000
_ROWS_AT_ONCE = 1024

_DEFAULTS: dict[pa.DataType, Any] = {
    pa.int64(): np.int64(-1),
    pa.float64(): 0.0,
    pa.bool_(): False,
    pa.string(): "-",
}
_DTYPES = {pa.int64(): tf.int64, pa.float64(): tf.float32, pa.bool_(): tf.bool, pa.string(): tf.string}


def cases(bench: Bench) -> Iterator[Case]:
    """One case for each number of columns."""
    shapes = [(10, 400_000, 8_192), (100, 60_000, 2_048), (1000, 16_000, 512)]
    for columns, rows, slow_rows in [(10, 5_000, 1_024)] if bench.quick else shapes:
        batch = mixed_columns(columns, rows)
        name = bench.load(batch)
        with tempfile.TemporaryDirectory(prefix="aiopaiio-bench-") as folder:
            records = _write_records(Path(folder) / "rows.tfrecord", batch)
            yield Case(
                "datasets",
                f"{columns} columns",
                rows,
                bench.body_bytes(name),
                _PEER,
                _contenders(table_path(name), batch, records, slow_rows),
            )
        bench.drop(name)


def _contenders(path: str, batch: pa.RecordBatch, records: str, slow_rows: int) -> list[Contender]:
    defaults = [_DEFAULTS[field.type] for field in batch.schema]
    table = paiio.TableRecordDataset(path, defaults)
    some = f"{path}?start=0&end={slow_rows}"
    return [
        _contender(f"table, batch({_BATCH_ROWS})", table.batch(_BATCH_ROWS), batch),
        _contender(
            f"table, shuffle({_SHUFFLE_ROWS}).batch({_BATCH_ROWS})",
            table.shuffle(_SHUFFLE_ROWS).batch(_BATCH_ROWS),
            batch,
        ),
        _contender("table, single rows", table.take(slow_rows * 2), batch, slow_rows * 2),
        _contender(_PEER, _row_wise(some, batch.schema).batch(_BATCH_ROWS), batch, slow_rows),
        _contender("TFRecord, parse_example", _from_records(records, batch.schema), batch),
        _contender("numpy batches from memory", _from_memory(batch), batch),
    ]


def _contender(name: str, dataset: Any, batch: pa.RecordBatch, rows: int | None = None) -> Contender:
    expected = batch if rows is None else batch.slice(0, rows)
    unchecked = [True]

    def prepare() -> None:
        if unchecked:
            unchecked.clear()
            _require_columns(name, dataset, expected)

    def check(got: tuple[int, int]) -> None:
        ids = expected.column(0).to_numpy()
        if got != (len(ids), int(ids.sum())):
            raise WrongRows(f"{name}: {got} instead of {(len(ids), int(ids.sum()))}")

    return Contender(name, lambda: tuple(int(each) for each in _drain(dataset)), check, prepare, rows)


def _counted(dataset: Any) -> Any:
    """The number of rows, and the sum of the first column."""
    return dataset.reduce(
        (tf.constant(0, tf.int64), tf.constant(0, tf.int64)),
        lambda seen, columns: (seen[0] + tf.size(columns[0], tf.int64), seen[1] + tf.reduce_sum(columns[0])),
    )


_drain = tf.function(_counted)


def _require_columns(name: str, dataset: Any, expected: pa.RecordBatch) -> None:
    """All columns, added up: numbers, and the bytes of texts."""
    totals = np.zeros(expected.num_columns)
    if dataset.element_spec[0].shape.rank == 0:
        dataset = dataset.batch(_BATCH_ROWS)
    for columns in dataset:
        totals += [_total(column.numpy()) for column in columns]
    wanted = [
        _total(_filled(column, _DEFAULTS[field.type]))
        for field, column in zip(expected.schema, expected.columns, strict=True)
    ]
    if not np.allclose(totals, wanted, rtol=1e-4):
        raise WrongRows(f"{name} gives other columns than the table has")


def _total(values: np.ndarray[Any, Any]) -> float:
    return float(sum(map(len, values)) if values.dtype == object else values.sum(dtype=np.float64))


def _filled(column: pa.Array, default: Any) -> np.ndarray[Any, Any]:
    """A column as its dataset gives it."""
    if pa.types.is_string(column.type):
        return np.array([default.encode() if text is None else text.encode() for text in column.to_pylist()], object)
    values: np.ndarray[Any, Any] = column.to_numpy(zero_copy_only=False)
    return values.astype(np.float32) if values.dtype == np.float64 else values


# --------------------------------------------------------------------------------------------------- other ways to feed


def _row_wise(path: str, schema: pa.Schema) -> Any:
    """The way from the documentation of tf.data: a generator of rows, over the same reader."""
    defaults = [_DEFAULTS[field.type] for field in schema]

    def rows() -> Iterator[tuple[Any, ...]]:
        with python_io.TableReader(path) as reader:
            try:
                while True:
                    for row in reader.read(_ROWS_AT_ONCE):
                        yield tuple(
                            default if value is None else value for value, default in zip(row, defaults, strict=True)
                        )
            except python_io.OutOfRangeException:
                return

    signature = tuple(tf.TensorSpec([], _DTYPES[field.type]) for field in schema)
    return tf.data.Dataset.from_generator(rows, output_signature=signature)


def _from_memory(batch: pa.RecordBatch) -> Any:
    """The ceiling: batches that are ready in memory."""
    columns = [
        _filled(column, _DEFAULTS[field.type]) for field, column in zip(batch.schema, batch.columns, strict=True)
    ]
    ready = [
        tuple(column[first : first + _BATCH_ROWS] for column in columns)
        for first in range(0, batch.num_rows, _BATCH_ROWS)
    ]
    signature = tuple(tf.TensorSpec([None], _DTYPES[field.type]) for field in batch.schema)
    return tf.data.Dataset.from_generator(lambda: iter(ready), output_signature=signature)


def _from_records(file: str, schema: pa.Schema) -> Any:
    """The way from the documentation of TFRecord files, all knobs left to TensorFlow."""
    features = {
        field.name: tf.io.FixedLenFeature(
            [], tf.int64 if pa.types.is_boolean(field.type) else _DTYPES[field.type], _DEFAULTS[field.type]
        )
        for field in schema
    }

    def parse(serialised: Any) -> tuple[Any, ...]:
        parsed = tf.io.parse_example(serialised, features)
        return tuple(tf.cast(parsed[field.name], _DTYPES[field.type]) for field in schema)

    batches = tf.data.TFRecordDataset(file).batch(_BATCH_ROWS)
    return batches.map(parse, num_parallel_calls=tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)


def _write_records(file: Path, batch: pa.RecordBatch) -> str:
    kinds = [
        "bytes_list" if pa.types.is_string(field.type) else "float_list" if field.type == pa.float64() else "int64_list"
        for field in batch.schema
    ]
    whole = [column.cast(pa.int64()) if pa.types.is_boolean(column.type) else column for column in batch.columns]
    columns = [
        [value.encode() if isinstance(value, str) else value for value in column.to_pylist()] for column in whole
    ]
    with tf.io.TFRecordWriter(str(file)) as writer:
        for row in zip(*columns, strict=True):
            example = tf.train.Example()
            for name, kind, value in zip(batch.schema.names, kinds, row, strict=True):
                if value is not None:
                    getattr(example.features.feature[name], kind).value.append(value)
            writer.write(example.SerializeToString())
    return str(file)
