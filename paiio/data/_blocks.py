"""Consecutive elements of a dataset that travel together, as Arrow batches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

__all__ = ["Block", "cut_pieces"]


@dataclass(frozen=True, slots=True)
class Block:
    """``pieces`` hold the rows in order; every ``rows_each`` of them are one element (1 where elements are rows).

    A block without rows says: nothing yet. It lets whoever waits find out that it should not wait any longer.
    """

    pieces: Sequence[pa.RecordBatch] = ()
    rows_each: int = 1

    @property
    def rows(self) -> int:
        """The number of rows."""
        return sum(piece.num_rows for piece in self.pieces)

    @property
    def elements(self) -> int:
        """The number of elements."""
        return self.rows // self.rows_each

    def select(self, chosen: range) -> Block:
        """Some of the elements."""
        if len(chosen) == self.elements:
            return self
        if not chosen:
            return Block((), self.rows_each)
        if chosen.step == 1:
            first, last = chosen.start * self.rows_each, chosen.stop * self.rows_each
            return Block(cut_pieces(self.pieces, first, last), self.rows_each)
        each = np.arange(self.rows_each)
        rows = (np.arange(chosen.start, chosen.stop, chosen.step)[:, None] * self.rows_each + each).ravel()
        return Block(list(_take(self.pieces, rows)), self.rows_each)

    def split(self, elements: int) -> Iterator[Block]:
        """In blocks of at most ``elements``."""
        total = self.elements
        for first in range(0, total, elements):
            yield self.select(range(first, min(total, first + elements)))


def cut_pieces(pieces: Sequence[pa.RecordBatch], first: int, last: int) -> list[pa.RecordBatch]:
    """The rows from ``first`` to ``last``, without copying any."""
    taken = []
    for piece in pieces:
        count = piece.num_rows
        if first < count and last > 0:
            begin, end = max(first, 0), min(last, count)
            taken.append(piece if end - begin == count else piece.slice(begin, end - begin))
        first -= count
        last -= count
    return taken


def _take(
    pieces: Sequence[pa.RecordBatch], rows: np.ndarray[tuple[int], np.dtype[np.int64]]
) -> Iterator[pa.RecordBatch]:
    """The given rows, which ascend."""
    first = 0
    for piece in pieces:
        begin, end = np.searchsorted(rows, [first, first + piece.num_rows])
        if end > begin:
            yield piece.take(pa.array(rows[begin:end] - first))
        first += piece.num_rows
