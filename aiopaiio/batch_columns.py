"""Arrow batches to record arrays: pieces of batches, or a window that is converted once and cut many times. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from itertools import compress
from typing import Any

import numpy as np
import pyarrow as pa

from aiopaiio.column_shapes import Shape
from aiopaiio.column_values import ColumnValues
from aiopaiio.record_array import Records
from aiopaiio.text_objects import StringAs

__all__ = ["BatchColumns", "RowType", "Window", "cut", "fill_records"]

RowType = Callable[[int], "np.dtype[Any]"]
"""From the set of columns that hold objects (as the set bits of a number) to the type of a row."""

cut: Callable[[Records, slice], Records] = np.ndarray.__getitem__  # type: ignore[assignment]  # a slice keeps its class
"""``rows[a:b]`` without the detour over :class:`Records`'s own method."""

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

    def odd_columns(self, start: int, stop: int) -> int:
        """The columns with an odd row in ``[start, stop)``, as the set bits of a number."""
        pattern = 0
        for bit, odd in self._odd:
            if odd[start:stop].any():
                pattern |= bit
        return pattern

    def patterns(self, start: int, stop: int) -> list[int]:
        """For each row of ``[start, stop)`` the columns in which it is odd, as the set bits of a number."""
        if not self._odd:
            return [0] * (stop - start)
        packed = np.packbits([odd[start:stop] for _, odd in self._odd], axis=0)
        keys = np.ascontiguousarray(packed.T).view(f"V{len(packed)}").reshape(-1).tolist()
        bits = [bit for bit, _ in self._odd]
        numbers = {key: sum(compress(bits, np.unpackbits(np.frombuffer(key, np.uint8)))) for key in set(keys)}
        return [numbers[key] for key in keys]


def fill_records(pieces: Sequence[tuple[BatchColumns, int, int]], row_type: np.dtype[Any]) -> Records:
    """Rows ``[start, stop)`` of each piece, one after the other."""
    row_count = sum(stop - start for _, start, stop in pieces)
    # numpy.empty is far slower than zeros where there are objects: it stores a None into each.
    rows = (np.zeros if row_type.hasobject else np.empty)(row_count, row_type)
    names = row_type.names or ()
    first = 0
    for batch, start, stop in pieces:
        last = first + stop - start
        for name, column in zip(names, batch.columns, strict=True):
            column.fill(rows[name][first:last], start, stop)
        first = last
    return rows.view(Records)


class Window:
    """Rows ``[start, stop)`` of a batch, converted at once, for reads of few rows. Its rows count from 0.

    Columns hold objects only in rows that need it, so there is a conversion for each pattern of odd columns.
    """

    def __init__(self, batch: BatchColumns, start: int, stop: int, row_type: RowType) -> None:
        self.rows = stop - start
        self._piece = (batch, start, stop)
        self._row_type = row_type
        self._patterns = batch.patterns(start, stop)
        self._converted: dict[int, Records] = {}
        self._common = {p for p, count in Counter(self._patterns).items() if p == 0 or count * _COMMON >= self.rows}
        self._everything: Records | None = None
        conversions = {pattern: self._conversion(pattern) for pattern in set(self._patterns)}
        self.of_row = [*map(conversions.__getitem__, self._patterns), None]
        """For each row the window in the type that is right for this row alone; None where there is none, and last."""

    def cut(self, start: int, stop: int) -> Records:
        """Rows ``[start, stop)``, in which only columns that need it hold objects."""
        pattern = 0
        for row_pattern in self._patterns[start:stop]:
            pattern |= row_pattern
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

    def _conversion(self, pattern: int) -> Records | None:
        """All rows in the type for a pattern, if many rows have it."""
        converted = self._converted.get(pattern)
        if converted is None and pattern in self._common:
            converted = self._converted[pattern] = fill_records([self._piece], self._row_type(pattern))
        return converted
