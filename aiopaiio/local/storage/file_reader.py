"""Reads a row range of one data file from its memory map. What is yielded points into the map; nothing is copied."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from aiopaiio.local.storage.refusal import StoreError
from aiopaiio.schema import Column, arrow_schema

__all__ = ["StoredFile", "read_file"]


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

    The map is dropped with the last batch that points into it, so what is resident follows what is being read.
    """
    try:
        source = pa.memory_map(str(stored.path), "r")
    except FileNotFoundError:
        raise StoreError("NoSuchDownload", "the download session has expired and its rows were collected") from None
    # Not with IpcReadOptions(included_fields=...), which copies. Columns that nobody touches are never paged in.
    reader = pa.ipc.open_file(source)
    names = reader.schema.names
    as_is = names == [column.name for column in columns]

    first = int(np.searchsorted(stored.batch_ends, start, side="right"))
    for index in range(first, len(stored.batch_ends)):
        batch_start = int(stored.batch_ends[index - 1]) if index else 0
        if batch_start >= stop:
            return
        batch = reader.get_batch(index)
        offset = max(start - batch_start, 0)
        length = min(batch.num_rows, stop - batch_start) - offset
        if length < batch.num_rows:
            batch = batch.slice(offset, length)
        yield batch if as_is else _arranged(batch, columns, stored.constants)


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
