"""Sends a streamed answer: pieces made in a worker thread, one ahead of the socket, through the link and its faults."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Iterator, Mapping

from aiohttp import web

from aiopaiio.local.answers import REQUEST_ID
from aiopaiio.local.faulting import BodyFaults, ConnectionBroken, CutShort, break_connection
from aiopaiio.local.link import Lane
from aiopaiio.local.running import Call, Running

__all__ = ["send_pieces", "send_plain"]

logger = logging.getLogger(__name__)

# On a shaped link pieces are small, so that a slow stream flows instead of coming in lumps.
_SHAPED_PIECE_BYTES = 32 << 10


async def send_pieces(
    running: Running, call: Call, pieces: Iterator[bytes], headers: Mapping[str, str], *, rows: bool = True
) -> web.StreamResponse:
    """Answer 200 with a chunked body.

    The first piece is made before the answer begins, so what is wrong with the request is still a proper error. The
    next piece is made while one is being sent, and none while the client does not read: memory is bounded by two
    pieces, and a silent client holds no thread.
    """
    running.cut_off_at_stop()
    piece = await running.run(next, pieces, None)
    response = web.StreamResponse(headers={**headers, REQUEST_ID: call.request_id})
    response.enable_chunked_encoding()
    await response.prepare(call.request)
    try:
        with contextlib.suppress(CutShort):
            await _send_all(running, _Sender(running, call, response, rows=rows), piece, pieces)
    except ConnectionError:
        raise
    except Exception as error:
        # The status is sent, so all that is left to show that this is not the end of the rows is not to end properly.
        logger.error("%s failed half-way, request id %s", call.operation.name, call.request_id, exc_info=error)
        await break_connection(call.request, reset=True)
        raise ConnectionBroken("the answer could not be completed") from error
    await response.write_eof()
    return response


async def _send_all(running: Running, sender: _Sender, first: bytes | None, others: Iterator[bytes]) -> None:
    piece = first
    while piece is not None:
        upcoming = asyncio.ensure_future(running.run(next, others, None))
        try:
            await sender.send(piece)
        except BaseException:
            upcoming.cancel()
            raise
        piece = await upcoming
    await sender.send(b"")


async def send_plain(running: Running, call: Call, answer: web.Response) -> web.StreamResponse:
    """Send an answer that is complete in memory through the faults of its body."""
    running.cut_off_at_stop()
    response = web.StreamResponse(status=answer.status, headers=answer.headers)
    response.headers.pop("Content-Length", None)
    response.headers[REQUEST_ID] = call.request_id
    response.enable_chunked_encoding()
    await response.prepare(call.request)
    body = answer.body if isinstance(answer.body, bytes) else b""
    with contextlib.suppress(CutShort):
        await _Sender(running, call, response, rows=False).send(body)
    await response.write_eof()
    return response


class _Sender:
    def __init__(self, running: Running, call: Call, response: web.StreamResponse, *, rows: bool) -> None:
        self._running = running
        self._request = call.request
        self._response = response
        self._faults = BodyFaults(call.request, call.actions, rows=rows)
        self._lane = running.shaper.answer_lane() if running.shaper else Lane()

    async def send(self, piece: bytes) -> None:
        self._running.statistics.sent_bytes += len(piece)
        if not self._lane:
            await self._write(piece)
            return
        for start in range(0, len(piece), _SHAPED_PIECE_BYTES):
            part = piece[start : start + _SHAPED_PIECE_BYTES]
            await self._lane.take(len(part))
            await self._write(part)

    async def _write(self, piece: bytes) -> None:
        idle = self._running.limits.idle_close_seconds
        if self._faults:
            writing = self._faults.send(self._response, piece)
        elif piece:
            writing = self._response.write(piece)
        else:
            return
        if idle is None:
            await writing
            return
        try:
            await asyncio.wait_for(writing, idle)
        except asyncio.TimeoutError:
            transport = self._request.transport
            if transport is not None:
                transport.abort()
            raise ConnectionResetError("the client has not read for too long") from None
