"""Makes faults happen to the bytes of an answer or of a request's body. Which ones is :mod:`.faults`' business."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

import pyarrow as pa
from aiohttp import web

from aiopaiio.local.faults import (
    Action,
    FlipBit,
    ResetAfter,
    ResetUpload,
    ShortBody,
    SlowBody,
    Stall,
    WrongRowCount,
)
from aiopaiio.local.link import Pacer

__all__ = [
    "BodyFaults",
    "ConnectionBroken",
    "CutShort",
    "UploadFaults",
    "break_connection",
    "first_of",
    "stall",
    "with_wrong_row_count",
]

A = TypeVar("A")

# Coarse enough to cost nothing, fine enough for a test not to notice.
_POLL_SECONDS = 0.002
_SLOW_PIECE_BYTES = 4096
_FOR_EVER_SECONDS = 10 * 365 * 86400.0


class CutShort(Exception):
    """The answer's body shall end here, properly."""


class ConnectionBroken(ConnectionResetError):
    """The connection was broken on purpose."""


def first_of(actions: Iterable[Action], kind: type[A]) -> A | None:
    """The first action of a kind, or None."""
    return next((action for action in actions if isinstance(action, kind)), None)


async def stall(seconds: float | None) -> None:
    """Do nothing for a while; None is until cancelled."""
    await asyncio.sleep(_FOR_EVER_SECONDS if seconds is None else seconds)


async def break_connection(request: web.Request, *, reset: bool) -> None:
    """Close the connection at once; with ``reset`` by RST, once what was written has left this process."""
    transport = request.transport
    if transport is None:
        return
    if reset:
        while not transport.is_closing() and transport.get_write_buffer_size():  # noqa: ASYNC110 - no event for it
            await asyncio.sleep(_POLL_SECONDS)
        sock = transport.get_extra_info("socket")
        if sock is not None and sock.fileno() != -1:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


class BodyFaults:
    """The faults of one answer's body, by byte offset."""

    def __init__(self, request: web.Request, actions: Sequence[Action], *, rows: bool) -> None:
        """``rows``: the body is a row stream, whose uncompressed cuts are made before it gets here."""
        self._request = request
        self._sent = 0
        self._flips = [action for action in actions if isinstance(action, FlipBit)]
        events: list[tuple[int, Action]] = []
        for action in actions:
            if isinstance(action, ResetAfter):
                events.append((action.sent_bytes, action))
            elif isinstance(action, Stall) and action.after_bytes is not None:
                events.append((action.after_bytes, action))
            elif isinstance(action, ShortBody) and action.cut_at_bytes is not None and (action.compressed or not rows):
                events.append((action.cut_at_bytes, action))
        self._events = sorted(events, key=lambda event: event[0])
        slow = first_of(actions, SlowBody)
        self._pacer = Pacer(slow.bytes_per_second) if slow else None

    def __bool__(self) -> bool:
        return bool(self._events or self._flips or self._pacer)

    async def send(self, response: web.StreamResponse, piece: bytes) -> None:
        """Write ``piece`` with everything that befalls it. Raises :class:`CutShort` where the body shall end."""
        piece = self._flipped(piece)
        done = 0
        while True:
            await self._happen()
            if done == len(piece):
                return
            stop = len(piece)
            if self._events:
                stop = min(stop, done + self._events[0][0] - self._sent)
            if self._pacer:
                stop = min(stop, done + _SLOW_PIECE_BYTES)
                await asyncio.sleep(self._pacer.reserve(stop - done, asyncio.get_running_loop().time()))
            await response.write(piece[done:stop])
            self._sent += stop - done
            done = stop

    async def _happen(self) -> None:
        while self._events and self._events[0][0] <= self._sent:
            _, action = self._events.pop(0)
            if isinstance(action, Stall):
                await stall(action.seconds)
            elif isinstance(action, ShortBody):
                raise CutShort
            else:
                await break_connection(self._request, reset=True)
                raise ConnectionBroken("broken on purpose")

    def _flipped(self, piece: bytes) -> bytes:
        inside = [flip for flip in self._flips if self._sent <= flip.at_byte < self._sent + len(piece)]
        if not inside:
            return piece
        damaged = bytearray(piece)
        for flip in inside:
            damaged[flip.at_byte - self._sent] ^= 1 << flip.bit
        return bytes(damaged)


class UploadFaults:
    """The faults of one request's body."""

    def __init__(self, request: web.Request, actions: Sequence[Action]) -> None:
        self._request = request
        self._reset = first_of(actions, ResetUpload)
        self._received = 0

    async def receive(self, size_bytes: int) -> None:
        """Note that bytes came; raises ``ConnectionResetError`` when the connection is to break."""
        self._received += size_bytes
        if self._reset and self._received >= self._reset.received_bytes:
            await break_connection(self._request, reset=True)
            raise ConnectionBroken("broken on purpose")


def with_wrong_row_count(
    batches: Iterator[pa.RecordBatch], row_count: int, fault: WrongRowCount | None
) -> Iterator[pa.RecordBatch]:
    """The batches with rows left out at the end, or the last row again; unchanged without a fault."""
    if fault is None:
        yield from batches
        return
    left = max(0, row_count + min(0, fault.delta))
    last = None
    for batch in batches:
        part = batch.slice(0, left)
        left -= part.num_rows
        if part.num_rows:
            last = part
            yield part
    if last is not None:
        for _ in range(fault.delta):
            yield last.slice(last.num_rows - 1)
