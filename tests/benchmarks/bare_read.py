"""The wall: the requests that a read needs, sent by plain aiohttp, and their bodies taken without a look at them."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from email.utils import formatdate

import aiohttp
import yarl
from crc32c import crc32c

from aiopaiio.signing import authorization_v1, canonical_string
from tests.benchmarks.service_process import ServiceProcess

__all__ = ["BareBody", "bare_read"]

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


async def bare_read(service: ServiceProcess, table: str, streams: int, *, keep: bool) -> list[BareBody]:
    """Make a download session of ``table`` (``/projects/P/tables/T``) and read it in so many row ranges at once."""
    async with aiohttp.ClientSession(auto_decompress=False, read_bufsize=_READ_BUFFER_BYTES) as http:
        async with _request(http, service, "POST", f"{table}?downloads") as response:
            session = json.loads(await response.read())
        bounds = [session["RecordCount"] * number // streams for number in range(streams + 1)]

        async def read_range(start: int, stop: int) -> BareBody:
            rows = f"{table}?data&arrow&downloadid={session['DownloadID']}&rowrange=({start},{stop - start})"
            body = BareBody(pieces=[] if keep else None)
            async with _request(http, service, "GET", rows) as response:
                async for piece in response.content.iter_any():
                    body.take(piece)
            return body

        return await asyncio.gather(*(read_range(start, stop) for start, stop in itertools.pairwise(bounds)))


@asynccontextmanager
async def _request(
    http: aiohttp.ClientSession, service: ServiceProcess, method: str, resource: str
) -> AsyncIterator[aiohttp.ClientResponse]:
    target = yarl.URL(service.tunnel_endpoint + resource)
    headers = {"Date": formatdate(usegmt=True), "Accept-Encoding": "identity"}
    canonical = canonical_string(method, target.path, list(target.query.items()), headers)
    headers["Authorization"] = authorization_v1(service.access_id, service.access_key, canonical)
    async with http.request(
        method, target, headers=headers, raise_for_status=True, skip_auto_headers=("Content-Type",)
    ) as response:
        yield response
