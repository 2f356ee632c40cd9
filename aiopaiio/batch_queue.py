"""A queue of record batches with one sender and one receiver, bounded in bytes and rows; either end can leave."""

from __future__ import annotations

import math

import anyio
import pyarrow as pa

from aiopaiio.errors import ClosedError

__all__ = ["BatchQueue", "ReceiverLeft"]


class ReceiverLeft(Exception):
    """Nobody takes what a :class:`BatchQueue` gets any more. Raised by nothing else, so it says nothing else."""


class BatchQueue:
    """Batches in order, then either the end or one error at the row where it happened.

    Holds at most ``limit_bytes`` and ``limit_rows`` - but always room for one batch, however large, so that it cannot
    block for ever.
    """

    def __init__(self, limit_bytes: int, limit_rows: float = math.inf) -> None:
        self._limit_bytes = limit_bytes
        self._limit_rows = limit_rows
        # Unbounded in items: the bounds that matter are kept here.
        self._sender, self._receiver = anyio.create_memory_object_stream[tuple[pa.RecordBatch, int] | Exception](
            math.inf
        )
        self._bytes = 0
        self._rows = 0
        self._ended = False
        self._left = False
        self._room = anyio.Event()
        self._arrived = anyio.Event()

    def __repr__(self) -> str:
        return f"<BatchQueue {self._rows} rows, {self._bytes} bytes>"

    @property
    def drained(self) -> bool:
        """Whether it has ended and nothing waits in it, not even an error."""
        return self._ended and not self._receiver.statistics().current_buffer_used

    async def send(self, batch: pa.RecordBatch, byte_count: int) -> None:
        """Add a batch of ``byte_count``, waiting for room; :class:`ReceiverLeft` when the receiver has left."""
        while not self._left and self._is_full(byte_count, batch.num_rows):
            self._room = anyio.Event()
            await self._room.wait()
        if self._left:
            raise ReceiverLeft
        self._sender.send_nowait((batch, byte_count))
        self._bytes += byte_count
        self._rows += batch.num_rows
        self._arrived.set()

    def fail(self, error: Exception) -> None:
        """End with ``error``, which the receiver gets after all batches before it, unless it has left."""
        if not self._left:
            self._sender.send_nowait(error)
        self.end()

    def end(self) -> None:
        """End without error."""
        self._ended = True
        self._sender.close()
        self._arrived.set()

    async def receive(self) -> pa.RecordBatch | None:
        """The next batch, or None at the end; raises the sender's error in its place.

        Cancelling it loses nothing. Raises :class:`~aiopaiio.errors.ClosedError` when :meth:`leave` was called before
        all was received.
        """
        while True:
            try:
                item = self._receiver.receive_nowait()
                break
            except anyio.WouldBlock:
                # Not the stream's own receive(): cancelled between arrival and wake-up, it drops the item.
                self._arrived = anyio.Event()
                await self._arrived.wait()
            except anyio.EndOfStream:
                return None
            except anyio.ClosedResourceError:
                if not self._left:  # at its end, before whoever awaits it was woken
                    return None
                raise ClosedError("closed while rows were awaited; open a new reader") from None
        if isinstance(item, Exception):
            raise item
        batch, byte_count = item
        self._bytes -= byte_count
        self._rows -= batch.num_rows
        self._room.set()
        return batch

    def leave(self) -> None:
        """The receiver wants no more: waiting batches are dropped and the sender is told. No matter once drained."""
        self._left = self._left or not self.drained
        self._sender.close()
        self._receiver.close()
        self._bytes = self._rows = 0
        self._room.set()
        self._arrived.set()

    def _is_full(self, more_bytes: int, more_rows: int) -> bool:
        if not self._rows:
            return False
        return self._bytes + more_bytes > self._limit_bytes or self._rows + more_rows > self._limit_rows
