"""What every question needs: the service, both clients, tables made once, and the wall."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any, TypeVar

import pyarrow as pa
from odps import ODPS
from odps.models import TableSchema
from odps.tunnel import TableTunnel

import aiopaiio
from aiopaiio.local import Limits, Link
from tests.benchmarks.bare_read import BareBody, bare_read, decoded
from tests.benchmarks.digests import digest_of, require_equal
from tests.benchmarks.made_rows import column_types
from tests.benchmarks.measuring import Contender
from tests.benchmarks.repeated_rows import RepeatedRows, repeat_rows
from tests.benchmarks.service_process import ServiceProcess, service_process

__all__ = ["PROJECT", "Bench", "resource", "table_path"]

T = TypeVar("T")

PROJECT = "bench"
LOAD_ROWS = 1 << 16
_ONE_BLOCK_BYTES = 1 << 30

_table_numbers = itertools.count(1)


class Bench:
    """One run of the suite. ``quick`` asks for sizes that only show that everything works.

    ``only``: a part of the names of the cases that are wanted.
    """

    def __init__(
        self, service: ServiceProcess, loop: asyncio.AbstractEventLoop, *, quick: bool, only: str = ""
    ) -> None:
        self.service = service
        self.quick = quick
        self.only = only
        self._loop = loop
        self.odps = ODPS(service.access_id, service.access_key, PROJECT, endpoint=service.endpoint)
        self.tunnel = TableTunnel(self.odps, endpoint=service.tunnel_endpoint)
        self.client = aiopaiio.Client(
            endpoint=service.endpoint, access_id=service.access_id, access_key=service.access_key, project=PROJECT
        )

    def wants(self, question: str, case: str) -> bool:
        """Whether a case was asked for; asked before its tables are made, where that takes long."""
        return self.only in f"{question}: {case}"

    @contextmanager
    def beside(self, link: Link | None = None, limits: Limits | None = None) -> Iterator[Bench]:
        """The same tables behind another link or with other limits: one more service on the same folder."""
        with (
            service_process(self.service.root, link=link, limits=limits) as service,
            closing(Bench(service, self._loop, quick=self.quick, only=self.only)) as bench,
        ):
            yield bench

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
        name = f"t{next(_table_numbers)}"
        names, types = zip(*column_types(like.schema), strict=True)
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

    def load_repeated(self, block: pa.RecordBatch, times: int) -> RepeatedRows:
        """Make a table in which the rows of ``block`` come ``times`` times, and only once on the disk."""
        name = self.new_table(block)
        self.wait(self.write_batches(name, block, LOAD_ROWS, block_bytes=_ONE_BLOCK_BYTES, concurrency=1))
        repeat_rows(self.service.root, name, times)
        return RepeatedRows(name, block, times)

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

    def drains(
        self,
        name: str,
        schema: pa.Schema,
        check_rows: Callable[[Iterable[pa.RecordBatch]], None],
        streams: Sequence[int] = (1, 4),
        *,
        keep: bool = True,
        arrow: bool = True,
    ) -> list[Contender]:
        """Bare reads of the same bytes by aiohttp, over one connection and over several; nothing is decoded.

        Before the first round of each its bodies are decoded once, and ``check_rows`` gets the batches; from then on
        it must be the same bytes. ``keep`` them until the clock stops, or add them up while they come.
        """

        def contender(count: int) -> Contender:
            expected: list[tuple[int, int]] = []

            async def read(keep: bool) -> list[BareBody]:
                return await bare_read(self.service, resource(name), count, keep=keep, arrow=arrow)

            def prepare() -> None:
                if not expected:
                    bodies = self.wait(read(keep=True))
                    check_rows(decoded(bodies, schema, arrow=arrow))
                    expected.extend(body.summary() for body in bodies)

            def check(bodies: list[BareBody]) -> None:
                require_equal([body.summary() for body in bodies], expected)

            return Contender(
                f"bare aiohttp, {count} stream{'s' if count > 1 else ''}",
                self.waiting(lambda: read(keep)),
                check,
                prepare,
                wall=True,
            )

        return [contender(count) for count in streams]

    def body_bytes(self, name: str) -> int:
        """The size of all rows of a table as an Arrow body."""
        (body,) = self.wait(bare_read(self.service, resource(name), 1, keep=False))
        return body.byte_count


def resource(name: str) -> str:
    """What requests about a table of the suite are addressed to."""
    return f"/projects/{PROJECT}/tables/{name}"


def table_path(name: str, partition: str = "") -> str:
    """The path of a table of the suite."""
    return f"odps://{PROJECT}/tables/{name}{'/' + partition if partition else ''}"
