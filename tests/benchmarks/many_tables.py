"""How fast are many small partitions read, near and far, against one after the other?"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping

import pyarrow as pa

from aiopaiio.local import Limits, Link
from tests.benchmarks.bench import Bench, table_path
from tests.benchmarks.digests import digest_of, require_equal
from tests.benchmarks.made_rows import mixed_rows
from tests.benchmarks.measuring import Case, Contender, Observed, WrongRows

_QUESTION = "many_tables"
_PEER = "PyODPS, one after the other"
_WRITERS = 16

Batches = list[list[pa.RecordBatch]]
"""The batches of each partition, in the order of the partitions."""


def cases(bench: Bench) -> Iterator[Case]:
    """One table; every partition holds the same rows, and each case reads the first so many partitions."""
    counts = (1, 5) if bench.quick else (1, 10, 100, 1000)
    batch = mixed_rows(100 if bench.quick else 500)
    table = bench.new_table(batch, partition="pt")
    values = [f"p{number:04}" for number in range(counts[-1])]
    bench.wait(_write_all(bench, [table_path(table, f"pt={value}") for value in values], batch))
    for milliseconds, peer_reads in ((0, 100), (50, 20)):
        with bench.beside(link=Link(latency_seconds=milliseconds / 1e3)) as there:
            for count in counts:
                name = f"{count} partition{'s' if count > 1 else ''}, {milliseconds} ms"
                if bench.wants(_QUESTION, name):
                    peer = _pyodps(there, table, batch, values[: min(count, peer_reads)])
                    contenders = [peer, *_aiopaiio(there, table, batch, values[:count])]
                    curves = {f"partitions, {milliseconds} ms": count}
                    yield _case(name, batch, count, _PEER, contenders, there, curves=curves)
    count = min(100, counts[-1])
    name = f"{count} partitions, 50 ms, 200 sessions in 5 minutes allowed"
    if bench.wants(_QUESTION, name):
        with bench.beside(link=Link(latency_seconds=0.05), limits=Limits.real()) as there:
            # Each reads them once: together they may make as many sessions.
            yield _case(name, batch, count, "", _aiopaiio(there, table, batch, values[:count]), there, once=True)
    bench.drop(table)


def _case(
    name: str,
    batch: pa.RecordBatch,
    partitions: int,
    peer: str,
    contenders: list[Contender],
    bench: Bench,
    *,
    curves: Mapping[str, float] | None = None,
    once: bool = False,
) -> Case:
    return Case(
        _QUESTION,
        name,
        batch.num_rows * partitions,
        batch.nbytes * partitions,
        peer,
        contenders,
        curves=curves or {},
        service_cpu_seconds=bench.service.cpu_seconds,
        once=once,
    )


def _check(batch: pa.RecordBatch, partitions: int) -> Callable[[Batches], None]:
    expected = digest_of([batch])

    def check(got: Batches) -> None:
        if len(got) != partitions:
            raise WrongRows(f"{len(got)} partitions instead of {partitions}")
        for batches in got:
            require_equal(digest_of(batches), expected)

    return check


def _pyodps(bench: Bench, table: str, batch: pa.RecordBatch, values: list[str]) -> Contender:
    def read() -> Observed:
        began, first = time.perf_counter(), None
        batches: Batches = []
        for value in values:
            session = bench.tunnel.create_download_session(table, partition_spec=f"pt={value}")
            with session.open_arrow_reader(0, session.count) as reader:
                batches.append(list(reader))
            first = first or time.perf_counter() - began
        return Observed(batches, {"first batch s": first or 0.0})

    return Contender(_PEER, read, _check(batch, len(values)), rows=len(values) * batch.num_rows)


def _aiopaiio(bench: Bench, table: str, batch: pa.RecordBatch, values: list[str]) -> list[Contender]:
    paths = [table_path(table, f"pt={value}") for value in values]
    of_all = table_path(table, "&".join(f"pt={value}" for value in values))
    rows = batch.num_rows

    async def read_tables() -> Observed:
        began = time.perf_counter()
        begun: dict[str, float] = {}
        batches: dict[str, list[pa.RecordBatch]] = {path: [] for path in paths}
        async for path, part in bench.client.read_tables(paths):
            begun.setdefault(path, time.perf_counter() - began)
            batches[path].append(part)
        numbers = {"first batch s": min(begun.values()), "all begun s": max(begun.values())}
        return Observed(list(batches.values()), numbers)

    async def read_as_one() -> Observed:
        began, first = time.perf_counter(), None
        batches: list[pa.RecordBatch] = []
        async with bench.client.open_reader(of_all) as reader:
            ready = time.perf_counter() - began
            async for part in reader:
                first = first or time.perf_counter() - began
                batches.append(part)
        return Observed(batches, {"first batch s": first or 0.0, "all sessions s": ready})

    def check_one(got: list[pa.RecordBatch]) -> None:
        whole = pa.Table.from_batches(got, batch.schema)
        require_rows = _check(batch, len(values))
        require_rows([whole.slice(start, rows).to_batches() for start in range(0, whole.num_rows, rows)])

    return [
        Contender("aiopaiio read_tables", bench.waiting(read_tables), _check(batch, len(values))),
        Contender("aiopaiio, one reader", bench.waiting(read_as_one), check_one),
    ]


async def _write_all(bench: Bench, paths: list[str], batch: pa.RecordBatch) -> None:
    limiter = asyncio.Semaphore(_WRITERS)

    async def write(path: str) -> None:
        async with limiter, bench.client.open_writer(path) as writer:
            await writer.write_batch(batch)

    await asyncio.gather(*(write(path) for path in paths))
