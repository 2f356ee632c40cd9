"""Reads a row range of one data file from its memory map. What is yielded points into the map; nothing is copied."""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from aiopaiio.local.storage.refusal import StoreError
from aiopaiio.schema import Column, arrow_schema

__all__ = ["StoredFile", "read_file"]

_MAPPED_BYTES = 64 << 20
"""Mapping anew costs a fraction of a millisecond; pages of an old map count as this process's memory until it goes."""


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A data file as a session sees it. ``batch_ends`` counts rows up to the end of each batch inside.

    ``constants`` are the values of partition columns that are served as ordinary columns.
    """

    path: Path
    row_count: int
    batch_ends: npt.NDArray[np.int64]
    wide_columns: frozenset[str]
    constants: dict[str, pa.Scalar]


def read_file(stored: StoredFile, start: int, stop: int, columns: Sequence[Column]) -> Iterator[pa.RecordBatch]:
    """Rows ``[start, stop)`` of the file with ``columns`` in that order, cut where the file's batches are.

    A map goes with the last batch that points into it, and is left behind after ``_MAPPED_BYTES``: what is resident
    follows what is being read, however long the file.
    """
    try:
        descriptor = os.open(stored.path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        raise StoreError("NoSuchDownload", "the download session has expired and its rows were collected") from None
    try:
        rows_per_map = max(1, stored.row_count * _MAPPED_BYTES // os.fstat(descriptor).st_size)
        reader = _mapped(descriptor)
        as_is = reader.schema.names == [column.name for column in columns]
        rows_in_map = 0
        for index, batch_start, batch_stop in _overlapping(stored.batch_ends, start, stop):
            if rows_in_map >= rows_per_map:
                reader, rows_in_map = _mapped(descriptor), 0
            batch = reader.get_batch(index)
            rows_in_map += batch.num_rows
            if start > batch_start or stop < batch_stop:
                first = max(start, batch_start)
                batch = batch.slice(first - batch_start, min(stop, batch_stop) - first)
            yield batch if as_is else _arranged(batch, columns, stored.constants)
    finally:
        os.close(descriptor)


def _mapped(descriptor: int) -> pa.ipc.RecordBatchFileReader:
    # Python's map, not pyarrow's: it is made from an open file, so the file's removal meanwhile does no harm. And not
    # with IpcReadOptions(included_fields=...), which copies; columns that nobody touches are never paged in.
    return pa.ipc.open_file(pa.py_buffer(mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ)))


def _overlapping(ends: npt.NDArray[np.int64], start: int, stop: int) -> Iterator[tuple[int, int, int]]:
    """(index, first row, one past the last) of each batch that has rows of ``[start, stop)``."""
    for index in range(int(np.searchsorted(ends, start, side="right")), len(ends)):
        batch_start = int(ends[index - 1]) if index else 0
        if batch_start >= stop:
            return
        yield index, batch_start, int(ends[index])


def _arranged(batch: pa.RecordBatch, columns: Sequence[Column], constants: dict[str, pa.Scalar]) -> pa.RecordBatch:
    arrays, fields = [], []
    positions = {name: position for position, name in enumerate(batch.schema.names)}
    for column in columns:
        field = arrow_schema([column]).field(0)
        if column.name in constants:
            array = pa.repeat(constants[column.name], batch.num_rows)
        elif column.name in positions:
            array = batch.column(positions[column.name])
        else:
            # Added to the table after these rows were written.
            array = pa.nulls(batch.num_rows, field.type)
        arrays.append(array)
        fields.append(field.with_type(array.type))
    return pa.RecordBatch.from_arrays(arrays, schema=pa.schema(fields))
