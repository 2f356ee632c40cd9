"""What every question needs: the service, both clients, tables made once, and the wall."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Coroutine
from email.utils import formatdate
from typing import Any, TypeVar

import aiohttp
import pyarrow as pa
import yarl
from crc32c import crc32c
from odps import ODPS
from odps.models import TableSchema
from odps.tunnel import TableTunnel

import aiopaiio
from aiopaiio.signing import authorization_v1, canonical_string
from tests.benchmarks.digests import digest_of, require_equal
from tests.benchmarks.made_rows import column_types
from tests.benchmarks.measuring import Contender
from tests.benchmarks.service_process import ServiceProcess

__all__ = ["PROJECT", "Bench", "table_path"]

T = TypeVar("T")

PROJECT = "bench"
LOAD_ROWS = 1 << 16


class Bench:
    """One run of the suite. ``quick`` asks for sizes that only show that everything works."""

    def __init__(self, service: ServiceProcess, loop: asyncio.AbstractEventLoop, *, quick: bool) -> None:
        self.service = service
        self.quick = quick
        self._loop = loop
        self._numbers = itertools.count(1)
        self.odps = ODPS(service.access_id, service.access_key, PROJECT, endpoint=service.endpoint)
        self.tunnel = TableTunnel(self.odps, endpoint=service.tunnel_endpoint)
        self.client = aiopaiio.Client(
            endpoint=service.endpoint, access_id=service.access_id, access_key=service.access_key, project=PROJECT
        )

    def close(self) -> None:
        """Close the connections of the asynchronous client."""
        self.wait(self.client.aclose())

    def wait(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine to its end; the loop is the same for all."""
        return self._loop.run_until_complete(work)

    def waiting(self, work: Callable[[], Coroutine[Any, Any, T]]) -> Callable[[], T]:
        """A coroutine function as a plain one."""
        return lambda: self.wait(work())

    # ---------------------------------------------------------------------------------------------------------- tables

    def new_table(self, like: pa.RecordBatch, partition: str | None = None) -> str:
        """Make an empty table with the columns of ``like``, perhaps partitioned; returns its name."""
        name = f"t{next(self._numbers)}"
        names, types = zip(*column_types(like), strict=True)
        schema = TableSchema.from_lists(
            list(names), list(types), [partition] if partition else None, ["string"] if partition else None
        )
        self.odps.create_table(name, schema)
        return name

    def load(self, batch: pa.RecordBatch) -> str:
        """Make a table with the rows of ``batch``; returns its name."""
        name = self.new_table(batch)
        self.wait(self.write_batches(name, batch, LOAD_ROWS))
        return name

    def drop(self, name: str) -> None:
        """Delete a table."""
        self.odps.delete_table(name)

    async def write_batches(self, name: str, batch: pa.RecordBatch, rows_at_once: int, **options: Any) -> None:
        """Write ``batch`` through the asynchronous writer."""
        async with self.client.open_writer(table_path(name), **options) as writer:
            for start in range(0, batch.num_rows, rows_at_once):
                await writer.write_batch(batch.slice(start, rows_at_once))

    async def read_back(self, name: str) -> tuple[Any, ...]:
        """The digest of a table's rows, for checks off the clock."""
        async with self.client.open_reader(table_path(name)) as reader:
            return digest_of([batch async for batch in reader])

    # ------------------------------------------------------------------------------------------------------------ wall

    def drains(self, name: str, streams: list[int], path_query: Callable[[str, int, int], str]) -> list[Contender]:
        """Bare reads of the same bytes by aiohttp, over one connection and over several; nothing is decoded."""
        session = self.tunnel.create_download_session(name)
        expected: dict[int, list[int]] = {}

        def contender(count: int) -> Contender:
            def check(bodies: list[list[bytes]]) -> None:
                # Nothing else is known about them; but bodies of the same rows have the same bytes.
                checksums = [crc32c(b"".join(pieces)) for pieces in bodies]
                require_equal(checksums, expected.setdefault(count, checksums))

            ranges = _even_ranges(session.count, count)
            urls = [path_query(session.id, start, rows) for start, rows in ranges]
            return Contender(
                f"bare aiohttp, {count} stream{'s' if count > 1 else ''}",
                self.waiting(lambda: self._drain(urls)),
                check,
            )

        return [contender(count) for count in streams]

    def body_bytes(self, name: str) -> int:
        """The size of all rows of a table as an Arrow body."""
        session = self.tunnel.create_download_session(name)
        (pieces,) = self.wait(self._drain([arrow_query(name)(session.id, 0, session.count)]))
        return sum(map(len, pieces))

    async def _drain(self, urls: list[str]) -> list[list[bytes]]:
        async with aiohttp.ClientSession(auto_decompress=False, read_bufsize=1 << 18) as http:
            return await asyncio.gather(*(self._drain_one(http, url) for url in urls))

    async def _drain_one(self, http: aiohttp.ClientSession, url: str) -> list[bytes]:
        target = yarl.URL(self.service.tunnel_endpoint + url)
        headers = {"Date": formatdate(usegmt=True), "Accept-Encoding": "identity"}
        canonical = canonical_string("GET", target.path, list(target.query.items()), headers)
        headers["Authorization"] = authorization_v1(self.service.access_id, self.service.access_key, canonical)
        async with http.get(target, headers=headers, raise_for_status=True) as response:
            return [piece async for piece in response.content.iter_any()]


def arrow_query(name: str) -> Callable[[str, int, int], str]:
    """From session, first row and number of rows to the request for them in the Arrow form."""
    return lambda session, start, rows: (
        f"/projects/{PROJECT}/tables/{name}?data&arrow&downloadid={session}&rowrange=({start},{rows})"
    )


def table_path(name: str, partition: str = "") -> str:
    """The path of a table of the suite."""
    return f"odps://{PROJECT}/tables/{name}{'/' + partition if partition else ''}"


def _even_ranges(rows: int, count: int) -> list[tuple[int, int]]:
    bounds = [rows * number // count for number in range(count + 1)]
    return [(start, stop - start) for start, stop in itertools.pairwise(bounds)]
