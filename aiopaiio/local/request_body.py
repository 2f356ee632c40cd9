"""Receives request bodies: small ones whole, blocks as gathered pieces; bounded, paced, and through their faults."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from aiohttp import StreamReader

from aiopaiio.local.answers import Refused
from aiopaiio.local.faulting import UploadFaults
from aiopaiio.local.link import Lane
from aiopaiio.local.running import Call, Running

__all__ = ["body_pieces", "read_body"]

# A hop to a worker thread costs tens of microseconds: worth it for this much, not for one network read.
_GATHER_BYTES = 1 << 20


async def read_body(running: Running, call: Call) -> bytes:
    """A control request's body; refused when larger than ``limits.control_body_bytes``."""
    limit = running.limits.control_body_bytes
    return b"".join([piece async for pieces in body_pieces(running, call, limit) for piece in pieces])


async def body_pieces(running: Running, call: Call, limit_bytes: int) -> AsyncIterator[list[bytes]]:
    """The body in lists of pieces of about a mebibyte; refused once it is larger than ``limit_bytes``."""
    content = call.request.content
    faults = UploadFaults(call.request, call.actions)
    lane = running.shaper.request_lane() if running.shaper else Lane()
    received = 0
    at_end = False
    while not at_end:
        pieces: list[bytes] = []
        gathered = 0
        while gathered < _GATHER_BYTES:
            piece = await _next_piece(running, content)
            if not piece:
                at_end = True
                break
            if lane:
                await lane.take(len(piece))
            await faults.receive(len(piece))
            running.statistics.received_bytes += len(piece)
            gathered += len(piece)
            received += len(piece)
            if received > limit_bytes:
                raise Refused("MaxMessageLengthExceeded", f"Your request is larger than {limit_bytes} bytes.")
            pieces.append(piece)
        if pieces:
            yield pieces


async def _next_piece(running: Running, content: StreamReader) -> bytes:
    read = content.readany()
    idle = running.limits.idle_close_seconds
    if idle is None:
        return await read
    try:
        return await asyncio.wait_for(read, idle)
    except asyncio.TimeoutError:
        raise Refused("RequestTimeOut", "Your socket connection to the server was idle for too long.") from None
