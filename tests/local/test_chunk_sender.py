"""Chunks that go out from where they lie, to clients that take them in parts or not at all."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from aiohttp import web
from aiohttp.test_utils import TestServer

from aiopaiio.local.chunk_sender import ChunkSender

Piece = Sequence[bytes | memoryview]

LARGE = os.urandom(8 << 20)  # more than the system keeps between two sockets when one end asks for small buffers
TINY = [bytes([number % 256]) for number in range(5000)]  # more buffers than the system takes in one call


@asynccontextmanager
async def _answer(pieces: Sequence[Piece]) -> AsyncIterator[tuple[socket.socket, asyncio.Future[Exception | None]]]:
    """A connection on which the answer is asked for, and what became of the sending."""
    outcome: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()

    async def handle(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        response.enable_chunked_encoding()
        await response.prepare(request)
        sender = ChunkSender(request, response)
        try:
            for piece in pieces:
                await sender.send(piece)
        except Exception as error:
            outcome.set_result(error)
            raise
        finally:
            sender.close()
        await response.write_eof()
        outcome.set_result(None)
        return response

    application = web.Application()
    application.router.add_get("/", handle)
    async with TestServer(application) as server:
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(sock, (server.host, server.port))
        await loop.sock_sendall(sock, b"GET / HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n")
        with sock:
            yield sock, outcome


async def _body(sock: socket.socket) -> bytes:
    """The chunks' bytes; the chunks' own lengths must lead to the end of the answer."""
    loop = asyncio.get_running_loop()
    received = bytearray()
    while piece := await loop.sock_recv(sock, 50_000):
        received += piece
    head, _, rest = bytes(received).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200")
    body, at = [], 0
    while True:
        line_end = rest.index(b"\r\n", at)
        size = int(rest[at:line_end], 16)
        assert rest[line_end + 2 + size :][:2] == b"\r\n"
        if not size:
            assert rest[line_end:] == b"\r\n\r\n"
            return b"".join(body)
        body.append(rest[line_end + 2 : line_end + 2 + size])
        at = line_end + 2 + size + 2


async def test_all_buffers_arrive_in_order_however_little_is_taken_at_once() -> None:
    view = memoryview(LARGE)
    pieces: list[Piece] = [[view[:5], b"-", view[5:3_000_000], b"", view[3_000_000:]], [b""], [], TINY, [b"end"]]
    async with _answer(pieces) as (sock, outcome):
        body = await _body(sock)
        assert body == LARGE[:5] + b"-" + LARGE[5:] + b"".join(TINY) + b"end"
        assert await outcome is None


async def test_a_body_without_chunks_ends_properly() -> None:
    async with _answer([[]]) as (sock, outcome):
        assert await _body(sock) == b""
        assert await outcome is None


async def test_a_client_that_leaves_ends_the_sending() -> None:
    async with _answer([[LARGE]] * 4) as (sock, outcome):
        assert await asyncio.get_running_loop().sock_recv(sock, 100)
        assert not outcome.done()
        sock.close()
        assert isinstance(await asyncio.wait_for(outcome, 30), ConnectionResetError)
