"""The wall: the requests that a read needs, sent by plain aiohttp, and their bodies taken without a look at them."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from email.utils import formatdate

import aiohttp
import pyarrow as pa
import yarl
from crc32c import crc32c

from aiopaiio.arrow_stream import ArrowStreamDecoder
from aiopaiio.record_decoder import RecordStreamDecoder
from aiopaiio.schema import Column
from aiopaiio.signing import authorization_v1, canonical_string
from tests.benchmarks.made_rows import column_types
from tests.benchmarks.service_process import ServiceProcess

__all__ = ["BareBody", "bare_read", "bare_request", "decoded"]

_READ_BUFFER_BYTES = 1 << 18


@dataclass
class BareBody:
    """What came of one row range: its size and, kept as it came or added up while it came, its bytes."""

    byte_count: int = 0
    checksum: int = 0
    pieces: list[bytes] | None = None

    def take(self, piece: bytes) -> None:
        """The next bytes."""
        self.byte_count += len(piece)
        if self.pieces is None:
            self.checksum = crc32c(piece, self.checksum)
        else:
            self.pieces.append(piece)

    def summary(self) -> tuple[int, int]:
        """Size and checksum of all bytes."""
        for piece in self.pieces or ():
            self.checksum = crc32c(piece, self.checksum)
        self.pieces = None
        return self.byte_count, self.checksum


async def bare_read(
    service: ServiceProcess, table: str, streams: int, *, keep: bool, arrow: bool = True
) -> list[BareBody]:
    """Make a download session of ``table`` (``/projects/P/tables/T``) and read it in so many row ranges at once.

    ``arrow`` says in which wire form.
    """
    async with aiohttp.ClientSession(auto_decompress=False, read_bufsize=_READ_BUFFER_BYTES) as http:
        async with bare_request(http, service, "POST", f"{table}?downloads") as response:
            session = json.loads(await response.read())
        bounds = [session["RecordCount"] * number // streams for number in range(streams + 1)]

        form = "&arrow" if arrow else ""

        async def read_range(start: int, stop: int) -> BareBody:
            rows = f"{table}?data{form}&downloadid={session['DownloadID']}&rowrange=({start},{stop - start})"
            body = BareBody(pieces=[] if keep else None)
            async with bare_request(http, service, "GET", rows) as response:
                async for piece in response.content.iter_any():
                    body.take(piece)
            return body

        return await asyncio.gather(*(read_range(start, stop) for start, stop in itertools.pairwise(bounds)))


def decoded(bodies: Iterable[BareBody], schema: pa.Schema, *, arrow: bool = True) -> Iterator[pa.RecordBatch]:
    """The rows in bodies that were kept; raises a :class:`aiopaiio.DataError` when one is not whole."""
    for body in bodies:
        decoder: ArrowStreamDecoder | RecordStreamDecoder
        if arrow:
            decoder = ArrowStreamDecoder(schema)
        else:
            decoder = RecordStreamDecoder([Column(name, type_text) for name, type_text in column_types(schema)])
        for piece in body.pieces or ():
            yield from decoder.feed(piece)
        yield from decoder.finish()


@asynccontextmanager
async def bare_request(
    http: aiohttp.ClientSession, service: ServiceProcess, method: str, resource: str, body: Iterable[bytes] = ()
) -> AsyncIterator[aiohttp.ClientResponse]:
    """Sign a request, send it with ``body`` in pieces, and raise for any status that is not good."""

    async def pieces() -> AsyncIterator[bytes]:
        for piece in body:
            yield piece

    target = yarl.URL(service.tunnel_endpoint + resource)
    headers = {"Date": formatdate(usegmt=True), "Accept-Encoding": "identity"}
    canonical = canonical_string(method, target.path, list(target.query.items()), headers)
    headers["Authorization"] = authorization_v1(service.access_id, service.access_key, canonical)
    async with http.request(
        method,
        target,
        data=pieces() if body else None,
        headers=headers,
        raise_for_status=True,
        skip_auto_headers=("Content-Type",),
    ) as response:
        yield response
