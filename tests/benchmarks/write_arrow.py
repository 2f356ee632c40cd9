"""How fast are Arrow batches written, until they are visible? And how many round trips does the end of that take?"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pyarrow as pa

from aiopaiio import TableWriter
from aiopaiio.local import Link
from tests.benchmarks.bare_write import arrow_body, bare_write
from tests.benchmarks.bench import Bench, resource, table_path
from tests.benchmarks.digests import digest_of, require_equal
from tests.benchmarks.made_rows import mixed_rows, wide_rows
from tests.benchmarks.measuring import Case, Contender
from tests.benchmarks.write_rows import into_new_table

_PEER = "PyODPS arrow writer"
_LATENCY_SECONDS = 0.05


def cases(bench: Bench) -> Iterator[Case]:
    """Few columns and many."""
    yield _case(bench, mixed_rows(5_000 if bench.quick else 500_000), 1 << 16)
    yield _case(bench, wide_rows(100, 1_000 if bench.quick else 100_000), 1 << 13)
    with bench.beside(Link(latency_seconds=_LATENCY_SECONDS)) as far:
        yield _closing(far, mixed_rows(1_000))


def _case(bench: Bench, batch: pa.RecordBatch, rows_at_once: int) -> Case:
    expected = digest_of([batch])
    parts = [batch.slice(start, rows_at_once) for start in range(0, batch.num_rows, rows_at_once)]

    def write_by_pyodps(name: str) -> None:
        with bench.odps.get_table(name).open_writer(arrow=True) as writer:
            for part in parts:
                writer.write(part)

    def writing(concurrency: int) -> Callable[[str], None]:
        return lambda name: bench.wait(bench.write_batches(name, batch, rows_at_once, concurrency=concurrency))

    name = bench.load(batch)
    size = bench.body_bytes(name)
    bench.drop(name)

    def writing_bodies(blocks: int) -> Callable[[str], None]:
        at_once = -(-len(parts) // blocks)
        bodies = [arrow_body(parts[at : at + at_once], batch.schema) for at in range(0, len(parts), at_once)]
        return lambda name: bench.wait(bare_write(bench.service, resource(name), bodies))

    contenders = [into_new_table(bench, _PEER, write_by_pyodps, batch, expected)]
    for concurrency in (1, 4, 16):
        contenders.append(
            into_new_table(
                bench,
                f"aiopaiio write_batch, {concurrency} blocks at once",
                writing(concurrency),
                batch,
                expected,
            )
        )
    for blocks in (1, 4):
        name = f"bare aiohttp, {blocks} block{'s' if blocks > 1 else ''}"
        contenders.append(into_new_table(bench, name, writing_bodies(blocks), batch, expected, wall=True))
    return Case("write_arrow", f"{batch.num_columns} columns", batch.num_rows, size, _PEER, contenders)


def _closing(bench: Bench, batch: pa.RecordBatch) -> Case:
    """Closing a writer that holds a few rows: the last block, and the commit. On the clock is that alone."""
    expected = digest_of([batch])

    def pyodps_writer(name: str) -> Callable[[], object]:
        writer = bench.odps.get_table(name).open_writer(arrow=True)
        writer.write(batch)
        return lambda: writer.close()

    def writer(name: str) -> Callable[[], object]:
        opened = bench.wait(_open_writer(bench, name))
        bench.wait(opened.write_batch(batch))
        return lambda: bench.wait(opened.close())

    def contender(client: str, open_writer: Callable[[str], Callable[[], object]]) -> Contender:
        held: list[tuple[str, Callable[[], object]]] = []

        def prepare() -> None:
            name = bench.new_table(batch)
            held.append((name, open_writer(name)))

        def check(_: object) -> None:
            name, _ = held.pop()
            require_equal(bench.wait(bench.read_back(name)), expected)
            bench.drop(name)

        prepare()
        before = bench.service.requests()
        held[-1][1]()
        asked = bench.service.requests() - before
        check(None)
        print(f"{client} asks for: {', '.join(asked.elements())}")
        return Contender(f"{client}, {sum(asked.values())} requests", lambda: held[-1][1](), check, prepare=prepare)

    contenders = [contender(_PEER, pyodps_writer), contender("aiopaiio writer", writer)]
    name = f"close, {1000 * _LATENCY_SECONDS:.0f} ms a round trip"
    return Case("write_arrow", name, batch.num_rows, batch.nbytes, contenders[0].name, contenders)


async def _open_writer(bench: Bench, name: str) -> TableWriter:
    return await bench.client.open_writer(table_path(name))
