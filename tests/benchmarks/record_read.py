"""How fast is the record wire form, to Arrow batches and to tuples?"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import pyarrow as pa

import aiopaiio
from tests.benchmarks.bench import Bench, table_path
from tests.benchmarks.digests import digest_of, require_equal
from tests.benchmarks.made_rows import mixed_columns, python_rows
from tests.benchmarks.measuring import Case, Contender
from tests.benchmarks.row_read import require_rows

_PEER = "PyODPS open_record_reader, to tuples"
_ROWS_AT_ONCE = 1024


def cases(bench: Bench) -> Iterator[Case]:
    """Few columns and many."""
    for columns, count in [(10, 5_000)] if bench.quick else [(10, 200_000), (100, 30_000), (1000, 4_000)]:
        batch = mixed_columns(columns, count)
        rows = python_rows(batch)
        name = bench.load(batch)
        yield Case(
            "record_read",
            f"{columns} columns",
            count,
            bench.body_bytes(name),
            _PEER,
            [
                Contender(_PEER, partial(_pyodps_tuples, bench, name), partial(require_rows, expected=rows)),
                *(_tuples(bench, name, rows, streams) for streams in (1, 4)),
                *(_batches(bench, name, batch, streams) for streams in (1, 4)),
            ],
        )
        bench.drop(name)


def _pyodps_tuples(bench: Bench, name: str) -> list[tuple[Any, ...]]:
    session = bench.tunnel.create_download_session(name)
    with session.open_record_reader(0, session.count) as reader:
        return [tuple(record.values) for record in reader]


def _tuples(bench: Bench, name: str, expected: list[tuple[Any, ...]], streams: int) -> Contender:
    async def read() -> list[tuple[Any, ...]]:
        rows: list[tuple[Any, ...]] = []
        path = table_path(name)
        async with bench.client.open_reader(path, wire_form="record", concurrency=streams) as reader:
            try:
                while True:
                    rows += await reader.read_tuples(_ROWS_AT_ONCE)
            except aiopaiio.OutOfRange:
                return rows

    return Contender(
        f"aiopaiio to tuples, {streams} at once",
        bench.waiting(read),
        partial(require_rows, expected=expected),
    )


def _batches(bench: Bench, name: str, batch: pa.RecordBatch, streams: int) -> Contender:
    expected = digest_of([batch])

    async def read() -> list[pa.RecordBatch]:
        path = table_path(name)
        async with bench.client.open_reader(path, wire_form="record", concurrency=streams) as reader:
            return [part async for part in reader]

    return Contender(
        f"aiopaiio to batches, {streams} at once",
        bench.waiting(read),
        lambda got: require_equal(digest_of(got), expected),
    )
