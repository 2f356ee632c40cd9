"""How fast does a table arrive as Arrow batches? 10, 100 and 1000 columns; the wall is a bare HTTP drain."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa

from tests.benchmarks.bench import Bench, arrow_query, table_path
from tests.benchmarks.digests import digest_of, require_equal
from tests.benchmarks.made_rows import mixed_rows, wide_rows
from tests.benchmarks.measuring import Case, Contender

_PEER = "PyODPS open_arrow_reader"
_STREAMS = 4  # what the reader takes by itself


def cases(bench: Bench) -> Iterator[Case]:
    """One case for each shape of table."""
    shapes = [(10, 10_000), (100, 1_000), (1000, 200)]
    if not bench.quick:
        shapes = [(10, 10_000), (10, 1_000_000), (100, 100_000), (1000, 10_000)]
    for columns, rows in shapes:
        batch = mixed_rows(rows) if columns == 10 else wide_rows(columns, rows)
        yield from _case(bench, batch)


def _case(bench: Bench, batch: pa.RecordBatch) -> Iterator[Case]:
    name = bench.load(batch)
    expected = digest_of([batch])

    def check(got: list[pa.RecordBatch]) -> None:
        require_equal(digest_of(got), expected)

    def read_by_pyodps() -> list[pa.RecordBatch]:
        session = bench.tunnel.create_download_session(name)
        with session.open_arrow_reader(0, session.count) as reader:
            return list(reader)

    async def read() -> list[pa.RecordBatch]:
        async with bench.client.open_reader(table_path(name)) as reader:
            return [part async for part in reader]

    yield Case(
        "arrow_read",
        f"{batch.num_columns} columns",
        batch.num_rows,
        bench.body_bytes(name),
        _PEER,
        [
            Contender(_PEER, read_by_pyodps, check),
            Contender("aiopaiio open_reader", bench.waiting(read), check),
            *bench.drains(name, [1, _STREAMS], arrow_query(name)),
        ],
    )
    bench.drop(name)
