"""Sends the chunks of a chunked body from the memory they lie in.

Before Python 3.12 asyncio's transports have one way to send several buffers: they are joined, and what the connection
does not take at once is copied again. For rows that is a third of the service's work, so here the system gathers them.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence

from aiohttp import web

__all__ = ["ChunkSender"]

_MOST_BUFFERS = 1024
"""What the system takes in one call (IOV_MAX of Linux and macOS)."""


class ChunkSender:
    """Sends chunks of ``response``, which is prepared; aiohttp sends what comes before and after them."""

    def __init__(self, request: web.Request, response: web.StreamResponse) -> None:
        self._request = request
        self._response = response
        self._socket: socket.socket | None = None

    async def send(self, buffers: Sequence[bytes | memoryview]) -> None:
        """Send ``buffers`` as one chunk; returns when the system has all of it, so that they may change.

        Raises ``ConnectionResetError`` when the connection is gone. Cancelled half-way, it leaves half a chunk.
        """
        size = sum(map(len, buffers))
        if not size:  # would be the end of the body
            return
        sock = self._socket or await self._open()
        rest = [b"%x\r\n" % size, *buffers, b"\r\n"]
        while rest:
            try:
                sent = sock.sendmsg(rest[:_MOST_BUFFERS])
            except BlockingIOError:
                await _until_writable(sock)
            except OSError as error:
                raise ConnectionResetError("the client is gone") from error
            else:
                rest = _after(rest, sent)
            if self._request.transport is None or self._request.transport.is_closing():
                raise ConnectionResetError("the connection is closed")

    def close(self) -> None:
        """Let go of the socket, which would keep a connection open that others close."""
        if self._socket is not None:
            self._socket.close()

    async def _open(self) -> socket.socket:
        """A second descriptor of the connection, once the first has nothing left to send."""
        transport = self._request.transport
        if transport is None:
            raise ConnectionResetError("the connection is closed")
        transport.set_write_buffer_limits(0)
        await self._response.write(b"")  # the headers
        await self._request.writer.drain()
        # The loop does not let others wait for a transport's own one.
        self._socket = transport.get_extra_info("socket").dup()
        return self._socket


async def _until_writable(sock: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    writable = loop.create_future()
    loop.add_writer(sock, _wake, writable)
    try:
        await writable
    finally:
        loop.remove_writer(sock)


def _wake(writable: asyncio.Future[None]) -> None:
    if not writable.done():
        writable.set_result(None)


def _after(buffers: list[bytes | memoryview], sent_bytes: int) -> list[bytes | memoryview]:
    """What is left of ``buffers`` when their first ``sent_bytes`` are gone."""
    for number, buffer in enumerate(buffers):
        if sent_bytes < len(buffer):
            return [memoryview(buffer)[sent_bytes:], *buffers[number + 1 :]]
        sent_bytes -= len(buffer)
    return []
