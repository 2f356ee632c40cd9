"""Sizes of record batches: large ones are cut, small neighbours joined. Pure; nothing is copied unless joined."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa

__all__ = ["MAX_BATCH_BYTES", "MAX_BATCH_ROWS", "BatchJoiner"]

MAX_BATCH_ROWS = 16384
MAX_BATCH_BYTES = 4 << 20
"""A batch is the unit of transfer: the reader holds a few of them per stream, so they are kept this small. From 8 MiB
on memory costs three times as much: allocators give it back to the system at once, and its pages are made anew."""


class BatchJoiner:
    """Batches of any size in, batches near the caps out, rows in order. All must have one schema."""

    def __init__(self, max_rows: int = MAX_BATCH_ROWS, max_bytes: int = MAX_BATCH_BYTES) -> None:
        self._max_rows = max_rows
        self._max_bytes = max_bytes
        self._waiting: list[pa.RecordBatch] = []
        self._waiting_rows = 0
        self._waiting_bytes = 0

    def push(self, batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
        """Take a batch and yield those that are ready; a small one waits for its neighbours."""
        for piece in self._cut(batch):
            size = piece.nbytes
            if self._waiting and (
                self._waiting_rows + piece.num_rows > self._max_rows or self._waiting_bytes + size > self._max_bytes
            ):
                yield from self.flush()
            if not self._waiting and (piece.num_rows * 2 >= self._max_rows or size * 2 >= self._max_bytes):
                yield piece
            else:
                self._waiting.append(piece)
                self._waiting_rows += piece.num_rows
                self._waiting_bytes += size

    def flush(self) -> Iterator[pa.RecordBatch]:
        """Yield what waits, as one batch."""
        if self._waiting:
            waiting, self._waiting = self._waiting, []
            self._waiting_rows = self._waiting_bytes = 0
            yield waiting[0] if len(waiting) == 1 else _joined(waiting)

    def _cut(self, batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
        rows = batch.num_rows
        if not rows:
            return
        step = max(1, min(self._max_rows, rows * self._max_bytes // max(batch.nbytes, 1)))
        for start in range(0, rows, step):
            piece = batch.slice(start, step)
            if piece.nbytes > self._max_bytes and piece.num_rows > 1:
                # Rows of very different size: halve until each part fits or is one row.
                half = piece.num_rows // 2
                yield from self._cut(piece.slice(0, half))
                yield from self._cut(piece.slice(half))
            else:
                yield piece


def _joined(batches: list[pa.RecordBatch]) -> pa.RecordBatch:
    table = pa.Table.from_batches(batches).combine_chunks()
    (joined,) = table.to_batches()
    return joined
