"""Sends a streamed answer: pieces made in a worker thread, one ahead of the socket, through the link and its faults."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Coroutine, Iterator, Mapping
from typing import Any

from aiohttp import web

from aiopaiio.local.answers import REQUEST_ID
from aiopaiio.local.chunk_sender import ChunkSender
from aiopaiio.local.faulting import BodyFaults, ConnectionBroken, CutShort, break_connection
from aiopaiio.local.link import Lane
from aiopaiio.local.row_pieces import Piece
from aiopaiio.local.running import Call, Running

__all__ = ["send_pieces", "send_plain"]

logger = logging.getLogger(__name__)

# On a shaped link pieces are small, so that a slow stream flows instead of coming in lumps.
_SHAPED_PIECE_BYTES = 32 << 10


async def send_pieces(
    running: Running, call: Call, pieces: Iterator[Piece], headers: Mapping[str, str], *, rows: bool = True
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
        with contextlib.suppress(CutShort), contextlib.closing(_Sender(running, call, response, rows=rows)) as sender:
            await _send_all(running, sender, piece, pieces)
    except ConnectionError:
        raise
    except Exception as error:
        # The status is sent, so all that is left to show that this is not the end of the rows is not to end properly.
        logger.error("%s failed half-way, request id %s", call.operation.name, call.request_id, exc_info=error)
        await break_connection(call.request, reset=True)
        raise ConnectionBroken("the answer could not be completed") from error
    await response.write_eof()
    return response


async def _send_all(running: Running, sender: _Sender, first: Piece | None, others: Iterator[Piece]) -> None:
    piece = first
    while piece is not None:
        upcoming = asyncio.ensure_future(running.run(next, others, None))
        try:
            await sender.send(piece)
        except BaseException:
            upcoming.cancel()
            raise
        piece = await upcoming
    await sender.send([])


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
        await _Sender(running, call, response, rows=False).send([body])
    await response.write_eof()
    return response


class _Sender:
    """Sends the pieces of one answer: as they lie, or byte by byte where a link or a fault counts them."""

    def __init__(self, running: Running, call: Call, response: web.StreamResponse, *, rows: bool) -> None:
        self._running = running
        self._request = call.request
        self._response = response
        self._faults = BodyFaults(call.request, call.actions, rows=rows)
        self._lane = running.shaper.answer_lane() if running.shaper else Lane()
        self._chunks = ChunkSender(call.request, response)

    def close(self) -> None:
        self._chunks.close()

    async def send(self, piece: Piece) -> None:
        self._running.statistics.sent_bytes += sum(map(len, piece))
        if not self._lane and not self._faults:
            if piece:
                await self._in_time(self._chunks.send(piece))
            return
        joined = b"".join(piece)
        if not self._lane:
            await self._write(joined)
            return
        for start in range(0, len(joined), _SHAPED_PIECE_BYTES):
            part = joined[start : start + _SHAPED_PIECE_BYTES]
            await self._lane.take(len(part))
            await self._write(part)

    async def _write(self, part: bytes) -> None:
        if self._faults:
            await self._in_time(self._faults.send(self._response, part))
        elif part:
            await self._in_time(self._response.write(part))

    async def _in_time(self, writing: Coroutine[Any, Any, None]) -> None:
        idle = self._running.limits.idle_close_seconds
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
