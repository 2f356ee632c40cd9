"""How fast is the record wire form, to Arrow batches and to tuples?"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
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
_STREAMS = (1, 4)


def cases(bench: Bench) -> Iterator[Case]:
    """Few columns and many."""
    for columns, count in [(10, 5_000)] if bench.quick else [(10, 200_000), (100, 30_000), (1000, 4_000)]:
        yield from _case(bench, mixed_columns(columns, count))


def _case(bench: Bench, batch: pa.RecordBatch) -> Iterator[Case]:
    rows, digest = python_rows(batch), digest_of([batch])
    name = bench.load(batch)

    def check_batches(got: Iterable[pa.RecordBatch]) -> None:
        require_equal(digest_of(got), digest)

    def check_tuples(got: list[tuple[Any, ...]]) -> None:
        require_rows(got, rows)

    contenders = [
        Contender(_PEER, lambda: _pyodps_tuples(bench, name), check_tuples),
        *(
            Contender(f"aiopaiio to tuples, {streams} at once", _tuples(bench, name, streams), check_tuples)
            for streams in _STREAMS
        ),
        *(
            Contender(f"aiopaiio to batches, {streams} at once", _batches(bench, name, streams), check_batches)
            for streams in _STREAMS
        ),
        *bench.drains(name, batch.schema, check_batches, _STREAMS, arrow=False),
    ]
    title = f"{batch.num_columns} columns"
    yield Case("record_read", title, batch.num_rows, bench.body_bytes(name), _PEER, contenders)
    bench.drop(name)


def _pyodps_tuples(bench: Bench, name: str) -> list[tuple[Any, ...]]:
    session = bench.tunnel.create_download_session(name)
    with session.open_record_reader(0, session.count) as reader:
        return [tuple(record.values) for record in reader]


def _tuples(bench: Bench, name: str, streams: int) -> Callable[[], list[tuple[Any, ...]]]:
    async def read() -> list[tuple[Any, ...]]:
        rows: list[tuple[Any, ...]] = []
        path = table_path(name)
        async with bench.client.open_reader(path, wire_form="record", concurrency=streams) as reader:
            try:
                while True:
                    rows += await reader.read_tuples(_ROWS_AT_ONCE)
            except aiopaiio.OutOfRange:
                return rows

    return bench.waiting(read)


def _batches(bench: Bench, name: str, streams: int) -> Callable[[], list[pa.RecordBatch]]:
    async def read() -> list[pa.RecordBatch]:
        path = table_path(name)
        async with bench.client.open_reader(path, wire_form="record", concurrency=streams) as reader:
            return [part async for part in reader]

    return bench.waiting(read)
