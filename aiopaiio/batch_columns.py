"""Arrow batches to record arrays: pieces of batches, or a window that is converted once and cut many times. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import compress
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from aiopaiio.column_shapes import Shape
from aiopaiio.column_values import ColumnValues
from aiopaiio.record_array import Records
from aiopaiio.text_objects import StringAs, object_array

__all__ = ["BatchColumns", "RowType", "Window", "cut", "fill_records"]

RowType = Callable[[int], "np.dtype[Any]"]
"""From the set of columns that hold objects (as the set bits of a number) to the type of a row."""

cut: Callable[[Records, slice | int], Records] = np.ndarray.__getitem__  # type: ignore[assignment]
"""``rows[a:b]`` without the detour over :class:`Records`'s own method; by a number, a row of two-dimensional ones."""

_COMMON = 16
"""Rows that need the same row type are converted together when at least one row in this many does."""


class BatchColumns:
    """The columns of one batch; ``at`` is its first row not yet taken."""

    def __init__(self, batch: pa.RecordBatch, shapes: Sequence[Shape], string_as: StringAs) -> None:
        self.rows = batch.num_rows
        self.at = 0
        self.columns = [
            ColumnValues(array, shape, string_as) for array, shape in zip(batch.columns, shapes, strict=True)
        ]
        self._odd = [
            (1 << position, column.odd) for position, column in enumerate(self.columns) if column.odd is not None
        ]
        # Searching bytes takes a tenth of the time of asking NumPy.
        self._odd_bytes = [(bit, odd.tobytes()) for bit, odd in self._odd]

    def odd_columns(self, start: int, stop: int) -> int:
        """The columns with an odd row in ``[start, stop)``, as the set bits of a number."""
        pattern = 0
        for bit, odd in self._odd_bytes:
            if odd.find(b"\1", start, stop) >= 0:
                pattern |= bit
        return pattern

    def patterns(self, start: int, stop: int) -> tuple[list[int], npt.NDArray[np.intp]]:
        """All sets of columns in which a row of ``[start, stop)`` is odd, as bits; for each row which of them it is."""
        if not self.odd_columns(start, stop):
            return [0], np.zeros(stop - start, np.intp)
        packed = np.packbits([odd[start:stop] for _, odd in self._odd], axis=0)
        # As numbers, where they fit: those are sorted sooner.
        keys = np.zeros((stop - start, max(8, len(packed))), np.uint8)
        keys[:, : len(packed)] = packed.T
        key_type = np.uint64 if keys.shape[1] == 8 else f"V{keys.shape[1]}"
        different, number_of_row = np.unique(keys.view(key_type).reshape(-1), return_inverse=True)
        bits = [bit for bit, _ in self._odd]
        unpacked = np.unpackbits(different.view(np.uint8).reshape(len(different), -1), axis=1)
        return [sum(compress(bits, row)) for row in unpacked.tolist()], number_of_row


def fill_records(pieces: Sequence[tuple[BatchColumns, int, int]], row_type: np.dtype[Any]) -> Records:
    """Rows ``[start, stop)`` of each piece, one after the other."""
    row_count = sum(stop - start for _, start, stop in pieces)
    rows = _new_rows(row_count, row_type)
    names = row_type.names or ()
    first = 0
    for batch, start, stop in pieces:
        last = first + stop - start
        for name, column in zip(names, batch.columns, strict=True):
            column.fill(rows[name][first:last], start, stop)
        first = last
    return rows.view(Records)


def _new_rows(row_count: int, row_type: np.dtype[Any]) -> npt.NDArray[Any]:
    """Rows to be filled, whose objects are None."""
    if not row_type.hasobject:
        return np.empty(row_count, row_type)
    names = row_type.names or ()
    object_names = [name for name in names if row_type[name].hasobject]
    if len(object_names) == len(names):
        # As plain objects the same memory takes NumPy half the time.
        rows: npt.NDArray[Any] = np.ndarray(row_count, row_type, np.empty((row_count, len(names)), object))
        return rows
    # numpy.empty would do, but is far slower.
    rows = np.zeros(row_count, row_type)
    for name in object_names:
        rows[name].fill(None)
    return rows


class Window:
    """Rows ``[start, stop)`` of a batch, converted at once, for reads of few rows. Its rows count from 0.

    Columns hold objects only in rows that need it, so there is a conversion for each pattern of odd columns.
    """

    def __init__(self, batch: BatchColumns, start: int, stop: int, row_type: RowType) -> None:
        self.rows = stop - start
        self._piece = (batch, start, stop)
        self._row_type = row_type
        self._patterns, self._pattern_of_row = batch.patterns(start, stop)
        self._converted: dict[int, Records] = {}
        counts = np.bincount(self._pattern_of_row).tolist()
        self._common = {
            pattern
            for pattern, count in zip(self._patterns, counts, strict=True)
            if pattern == 0 or count * _COMMON >= self.rows
        }
        self._everything: Records | None = None
        self.of_row = self._of_row()
        """For each row what :func:`cut` gives this row of, in its own right type; None where nothing does, and last."""

    def cut(self, start: int, stop: int) -> Records:
        """Rows ``[start, stop)``, in which only columns that need it hold objects."""
        pattern = 0
        for number in self._pattern_of_row[start:stop].tolist():
            pattern |= self._patterns[number]
        converted = self._conversion(pattern)
        if converted is not None:
            return cut(converted, slice(start, stop))
        if self._everything is None:
            batch, first, last = self._piece
            self._everything = fill_records([self._piece], self._row_type(batch.odd_columns(first, last)))
        rows = np.zeros(stop - start, self._row_type(pattern))
        for row in range(start, stop):
            rows[row - start] = self._everything.item(row)
        return rows.view(Records)

    def _of_row(self) -> list[Records | None]:
        # In two dimensions: NumPy cuts faster by a number than by a slice.
        tables = [
            None if converted is None else converted.reshape(-1, 1)
            for converted in map(self._conversion, self._patterns)
        ]
        return [*object_array(tables).take(self._pattern_of_row).tolist(), None]

    def _conversion(self, pattern: int) -> Records | None:
        """All rows in the type for a pattern, if many rows have it."""
        converted = self._converted.get(pattern)
        if converted is None and pattern in self._common:
            converted = self._converted[pattern] = fill_records([self._piece], self._row_type(pattern))
        return converted
