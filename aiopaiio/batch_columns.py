"""Arrow batches to record arrays: pieces of batches, or a window that is converted once and cut many times. Pure."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from aiopaiio.column_values import ColumnValues, Shape, StringAs
from aiopaiio.record_array import Records

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

    def odd_rows(self, start: int, stop: int) -> dict[int, int]:
        """For each row of ``[start, stop)`` that is odd, counted from ``start``, the columns in which it is."""
        patterns: dict[int, int] = {}
        for bit, odd in self._odd:
            for row in np.flatnonzero(odd[start:stop]).tolist():
                patterns[row] = patterns.get(row, 0) | bit
        return patterns


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
            take = column.objects if row_type[name].hasobject else column.typed
            rows[name][first:last] = take(start, stop)
        first = last
    return rows.view(Records)


class Window:
    """Rows ``[start, stop)`` of a batch, converted at once, for reads of few rows. Its rows count from 0.

    ``even`` has the row type without odd columns: right for every stretch of rows none of which is odd.
    """

    def __init__(self, batch: BatchColumns, start: int, stop: int, row_type: RowType) -> None:
        self.rows = stop - start
        self._piece = (batch, start, stop)
        self._row_type = row_type
        self._odd_rows = batch.odd_rows(start, stop)
        self._odd_order = sorted(self._odd_rows)
        self._by_pattern = {0: fill_records([self._piece], row_type(0))}
        self.even = self._by_pattern[0]
        patterns = list(self._odd_rows.values())
        self._common = {p for p in set(patterns) if patterns.count(p) * _COMMON >= self.rows}
        self._everything: Records | None = None

    def next_odd(self, row: int) -> int:
        """The first odd row from ``row`` on, or the end of the window."""
        index = bisect_left(self._odd_order, row)
        return self._odd_order[index] if index < len(self._odd_order) else self.rows

    def cut(self, start: int, stop: int) -> Records:
        """Rows ``[start, stop)``, in which only columns that need it hold objects."""
        pattern = 0
        for row in range(start, stop):
            pattern |= self._odd_rows.get(row, 0)
        converted = self._by_pattern.get(pattern)
        if converted is None and pattern in self._common:
            converted = self._by_pattern[pattern] = fill_records([self._piece], self._row_type(pattern))
        if converted is not None:
            return cut(converted, slice(start, stop))
        if self._everything is None:
            batch, first, last = self._piece
            self._everything = fill_records([self._piece], self._row_type(batch.odd_columns(first, last)))
        rows = np.zeros(stop - start, self._row_type(pattern))
        for row in range(start, stop):
            rows[row - start] = self._everything.item(row)
        return rows.view(Records)
