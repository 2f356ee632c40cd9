"""How fast are many small partitions read, all concurrently, against one after the other?"""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa

from tests.benchmarks.bench import Bench, table_path
from tests.benchmarks.digests import digest_of, require_equal
from tests.benchmarks.made_rows import mixed_rows
from tests.benchmarks.measuring import Case, Contender, WrongRows

_PEER = "PyODPS, one after the other"

Batches = dict[str, list[pa.RecordBatch]]


def cases(bench: Bench) -> Iterator[Case]:
    """One table; every partition holds the same rows."""
    partitions, rows = (5, 100) if bench.quick else (100, 1_000)
    batch = mixed_rows(rows)
    name = bench.new_table(batch, partition="pt")
    values = [f"p{number:03}" for number in range(partitions)]
    for value in values:
        bench.wait(_write(bench, table_path(name, f"pt={value}"), batch))
    expected = digest_of([batch])

    def check(got: Batches) -> None:
        if sorted(got) != values:
            raise WrongRows(f"partitions {sorted(got)} instead of {values}")
        for value in values:
            require_equal(digest_of(got[value]), expected)

    def read_by_pyodps() -> Batches:
        batches = {}
        for value in values:
            session = bench.tunnel.create_download_session(name, partition_spec=f"pt={value}")
            with session.open_arrow_reader(0, session.count) as reader:
                batches[value] = list(reader)
        return batches

    async def read() -> Batches:
        paths = {table_path(name, f"pt={value}"): value for value in values}
        batches: Batches = {value: [] for value in values}
        async for path, part in bench.client.read_tables(list(paths)):
            batches[paths[path]].append(part)
        return batches

    session = bench.tunnel.create_download_session(name, partition_spec=f"pt={values[0]}")
    yield Case(
        "many_partitions",
        f"{partitions} partitions, 10 columns",
        session.count * partitions,
        batch.nbytes * partitions,
        _PEER,
        [
            Contender(_PEER, read_by_pyodps, check),
            Contender("aiopaiio read_tables", bench.waiting(read), check),
        ],
    )
    bench.drop(name)


async def _write(bench: Bench, path: str, batch: object) -> None:
    async with bench.client.open_writer(path) as writer:
        await writer.write_batch(batch)
