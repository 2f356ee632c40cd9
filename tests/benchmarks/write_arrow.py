"""How fast are Arrow batches written, until they are visible?"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pyarrow as pa

from tests.benchmarks.bench import Bench
from tests.benchmarks.digests import digest_of
from tests.benchmarks.made_rows import mixed_rows, wide_rows
from tests.benchmarks.measuring import Case
from tests.benchmarks.write_rows import into_new_table

_PEER = "PyODPS arrow writer"


def cases(bench: Bench) -> Iterator[Case]:
    """Few columns and many."""
    yield _case(bench, mixed_rows(5_000 if bench.quick else 500_000), 1 << 16)
    yield _case(bench, wide_rows(100, 1_000 if bench.quick else 100_000), 1 << 13)


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
    return Case("write_arrow", f"{batch.num_columns} columns", batch.num_rows, size, _PEER, contenders)
