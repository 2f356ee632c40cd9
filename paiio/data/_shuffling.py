"""Shuffling with a bounded buffer, many rows at a time. Pure.

What happens is what ``tf.data`` does row by row: the buffer is filled; then, as long as rows come, a random slot gives
up its row and takes the next one; what is left at the end leaves in random order. Here the slots of many rows are drawn
at once, and each row is found where it is: in the buffer, or among the new ones if its slot was drawn before.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from paiio.data._blocks import cut_pieces

__all__ = ["ShuffleBuffer"]

_LEAST_STEP_ROWS = 4096
_LEAST_STEP_BYTES = 1 << 20
_DRAINED_BYTES = 16 << 20
_DRAWN_AT_ONCE = 8192

Positions = npt.NDArray[np.int64]
Array = Any


class ShuffleBuffer:
    """Holds ``size`` rows. The order depends on ``seed`` and the rows, not on the batches in which they come."""

    def __init__(self, size: int, seed: Sequence[int]) -> None:
        self._size = size
        drawing, draining = np.random.SeedSequence(list(seed)).spawn(2)
        self._slots = _Slots(size, np.random.default_rng(drawing))
        self._drain_random = np.random.default_rng(draining)
        self._schema: pa.Schema | None = None
        self._held: list[Array] = []
        self._held_rows = 0
        self._new: list[pa.RecordBatch] = []
        self._new_rows = 0
        self._step_rows = max(1, size // 2)

    def add(self, pieces: Sequence[pa.RecordBatch]) -> pa.RecordBatch | None:
        """Take more rows; the rows that leave, if any do."""
        for piece in pieces:
            if not piece.num_rows:
                continue
            if self._schema is None:
                self._schema = piece.schema
                width = max(1, piece.nbytes // piece.num_rows)
                # Small buffers are worked on in steps that are worth it; the order is the same.
                self._step_rows = max(self._step_rows, min(_LEAST_STEP_ROWS, _LEAST_STEP_BYTES // width))
            self._new.append(piece)
            self._new_rows += piece.num_rows
        if self._new_rows < self._size - self._held_rows + self._step_rows:
            return None
        return self._step()

    def drain(self) -> Iterator[pa.RecordBatch]:
        """All that is left, some at a time."""
        if self._new:
            left = self._step()
            if left is not None:
                yield left
        order = self._drain_random.permutation(self._held_rows)
        held_bytes = sum(column.nbytes for column in self._held)
        rows = max(1, self._held_rows * _DRAINED_BYTES // max(1, held_bytes))
        for first in range(0, self._held_rows, rows):
            chosen = pa.array(order[first : first + rows])
            yield self._batch([_take(column, chosen) for column in self._held])

    def _step(self) -> pa.RecordBatch | None:
        """Put all new rows into the buffer; the rows they push out."""
        assert self._schema is not None  # rows have come
        room = self._size - self._held_rows
        columns = len(self._schema)
        if room:
            filling = cut_pieces(self._new, 0, room)
            self._held = [
                _joined([*self._held[at : at + 1], *(piece.column(at) for piece in filling)]) for at in range(columns)
            ]
            self._held_rows += sum(piece.num_rows for piece in filling)
        pushing = cut_pieces(self._new, room, self._new_rows)
        count = max(0, self._new_rows - room)
        self._new, self._new_rows = [], 0
        if not count:
            return None
        leaving, staying = self._slots.exchange(count)
        gone = []
        leave, stay = pa.array(leaving), pa.array(staying)
        # Column by column, so that only one is there twice.
        for at in range(columns):
            both = _joined([self._held[at], *(piece.column(at) for piece in pushing)])
            gone.append(_take(both, leave))
            self._held[at] = _take(both, stay)
        return self._batch(gone)

    def _batch(self, columns: list[Array]) -> pa.RecordBatch:
        assert self._schema is not None
        return pa.RecordBatch.from_arrays(columns, names=self._schema.names)


class _Slots:
    """Which slots are drawn. The numbers do not depend on how many are asked for at once."""

    def __init__(self, size: int, random: np.random.Generator) -> None:
        self._size = size
        self._random = random
        self._drawn: Positions = np.empty(0, np.int64)

    def exchange(self, count: int) -> tuple[Positions, Positions]:
        """Let ``count`` rows in.

        Rows are numbered: those in the slots ``0`` to ``size``, the new ones from ``size`` on. Gives the rows that
        leave, in the order in which they do, and the rows that are in the slots afterwards.
        """
        slots = self._draw(count)
        order = np.argsort(slots, kind="stable")
        in_order = slots[order]
        again = in_order[1:] == in_order[:-1]
        leaving = slots.copy()
        # A slot drawn again gives up what it took the last time.
        leaving[order[1:][again]] = self._size + order[:-1][again]
        last = order[np.append(~again, True)]
        staying = np.arange(self._size)
        staying[slots[last]] = self._size + last
        return leaving, staying

    def _draw(self, count: int) -> Positions:
        drawn = [self._drawn]
        missing = count - len(self._drawn)
        while missing > 0:
            drawn.append(self._random.integers(0, self._size, _DRAWN_AT_ONCE))
            missing -= _DRAWN_AT_ONCE
        slots = np.concatenate(drawn)
        self._drawn = slots[count:]
        return slots[:count]


def _joined(arrays: list[Array]) -> Array:
    arrays = [_with_room(array) for array in arrays]
    return arrays[0] if len(arrays) == 1 else pa.concat_arrays(arrays)


def _with_room(array: Array) -> Array:
    """Texts with 64-bit offsets: a buffer may hold more than 2 GiB of them."""
    if pa.types.is_string(array.type):
        array = array.view(pa.binary())
    return array.cast(pa.large_binary()) if pa.types.is_binary(array.type) else array


def _take(array: Array, rows: Array) -> Array:
    return pc.take(array, rows, boundscheck=False)
