"""How fast does a table arrive as Arrow batches, by columns, by rows and by the width of texts?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import pyarrow as pa

from tests.benchmarks.bench import Bench, table_path
from tests.benchmarks.digests import digest_of, require_equal
from tests.benchmarks.made_rows import mixed_rows, text_rows, wide_rows
from tests.benchmarks.measuring import Case, Contender
from tests.benchmarks.repeated_rows import RowCheck

_QUESTION = "arrow_read"
_PEER = "PyODPS open_arrow_reader"
_BLOCK_ROWS = 500_000
_COLUMNS = "columns, 80 MB"
_ROWS = "rows of 10 columns"
_WIDTH = "bytes of a text"


def cases(bench: Bench) -> Iterator[Case]:
    """One case for each shape of table. All rows are kept until the clock stops, except those of the largest table."""
    quick = bench.quick
    for rows in (1_000, 10_000) if quick else (10_000, 100_000, 1_000_000):
        places: dict[str, float] = {_ROWS: rows, **({_COLUMNS: 10} if rows == 1_000_000 else {})}
        if bench.wants(_QUESTION, name := f"10 columns, {rows:,} rows"):
            yield from _kept(bench, name, mixed_rows(rows), places)
    for times in (2,) if quick else (10,):
        block_rows = 1_000 if quick else _BLOCK_ROWS
        if bench.wants(_QUESTION, name := f"10 columns, {block_rows * times:,} rows"):
            yield from _passed_on(bench, name, mixed_rows(block_rows), times, {_ROWS: block_rows * times})
    for columns, rows in ((100, 100), (1000, 20)) if quick else ((100, 10_000), (100, 100_000), (1000, 10_000)):
        places = {_COLUMNS: columns} if columns * rows == 10_000_000 else {}
        if bench.wants(_QUESTION, name := f"{columns} columns, {rows:,} rows"):
            yield from _kept(bench, name, wide_rows(columns, rows), places)
    for width, rows in (
        ((8, 100), (10_240, 10))
        if quick
        else ((8, 1_000_000), (100, 600_000), (1_024, 80_000), (10_240, 8_000), (102_400, 800))
    ):
        if bench.wants(_QUESTION, name := f"texts of {width:,} bytes, {rows:,} rows"):
            yield from _kept(bench, name, text_rows(width, rows), {_WIDTH: width})


def _kept(bench: Bench, name: str, batch: pa.RecordBatch, curves: Mapping[str, float]) -> Iterator[Case]:
    table = bench.load(batch)
    expected = digest_of([batch])

    def check(got: Iterable[pa.RecordBatch]) -> None:
        require_equal(digest_of(got), expected)

    def read_by_pyodps() -> list[pa.RecordBatch]:
        session = bench.tunnel.create_download_session(table)
        with session.open_arrow_reader(0, session.count) as reader:
            return list(reader)

    async def read() -> list[pa.RecordBatch]:
        async with bench.client.open_reader(table_path(table)) as reader:
            return [part async for part in reader]

    contenders = [
        Contender(_PEER, read_by_pyodps, check),
        Contender("aiopaiio open_reader", bench.waiting(read), check),
        *bench.drains(table, batch.schema, check),
    ]
    yield Case(_QUESTION, name, batch.num_rows, bench.body_bytes(table), _PEER, contenders, curves)
    bench.drop(table)


def _passed_on(
    bench: Bench, name: str, block: pa.RecordBatch, times: int, curves: Mapping[str, float]
) -> Iterator[Case]:
    """Nothing is kept: every batch is compared with the table's rows when it comes, on the clock, and let go."""
    table = bench.load_repeated(block, times)

    def check(got: RowCheck) -> None:
        got.require_rows(table.row_count)

    def taken(batches: Iterable[pa.RecordBatch]) -> RowCheck:
        rows = RowCheck(block)
        for part in batches:
            rows.take(part)
        return rows

    def read_by_pyodps() -> RowCheck:
        session = bench.tunnel.create_download_session(table.name)
        with session.open_arrow_reader(0, session.count) as reader:
            return taken(reader)

    async def read() -> RowCheck:
        rows = RowCheck(block)
        async with bench.client.open_reader(table_path(table.name)) as reader:
            async for part in reader:
                rows.take(part)
        return rows

    contenders = [
        Contender(_PEER, read_by_pyodps, check),
        Contender("aiopaiio open_reader", bench.waiting(read), check),
        *bench.drains(table.name, block.schema, lambda batches: check(taken(batches)), keep=False),
    ]
    yield Case(_QUESTION, name, table.row_count, bench.body_bytes(table.name), _PEER, contenders, curves)
    bench.drop(table.name)
