"""What a reader holds stays within its memory limit, whatever the rows and however many streams were asked for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pyarrow as pa
import pytest

from aiopaiio import Client
from aiopaiio.batch_pool import BATCH_POOL

pytestmark = pytest.mark.skipif(
    BATCH_POOL.backend_name == pa.default_memory_pool().backend_name, reason="the service allocates from it, too"
)

KIB = 1 << 10
MIB = 1 << 20


@asynccontextmanager
async def held_bytes_at_most(limit: int) -> AsyncIterator[None]:
    """Watch the memory of received batches at every turn of the loop; the service allocates from another pool."""
    before, peak = BATCH_POOL.bytes_allocated(), 0

    async def watch() -> None:
        nonlocal peak
        while True:
            peak = max(peak, BATCH_POOL.bytes_allocated() - before)
            await asyncio.sleep(0)

    watching = asyncio.create_task(watch())
    try:
        yield
    finally:
        watching.cancel()
    assert limit / 10 < peak <= limit


@pytest.mark.parametrize("concurrency", [0, 1, 64])
async def test_rows_that_wait_stay_within_the_limit(client: Client, make_table, concurrency: int) -> None:
    texts = [f"{number:04}" * 256 for number in range(8_000)]
    path = await make_table("text string", pa.table({"text": texts}))
    got: list[str] = []
    opening = client.open_reader(path, memory_limit_bytes=2 * MIB, concurrency=concurrency)
    async with opening as reader, held_bytes_at_most(2 * MIB):
        async for batch in reader:
            got += batch.column(0).to_pylist()
    assert got == texts


WIDE_BYTES = 600 * KIB


async def test_few_rows_of_great_width_are_taken_in_one_after_the_other(client: Client, make_table) -> None:
    texts = rows_of_two_widths(150)
    path = await make_table("text string", pa.table({"text": texts}))
    got: list[str] = []
    # One that arrives and one in the reader's hands, whatever the number of streams.
    opening = client.open_reader(path, memory_limit_bytes=8 * MIB, concurrency=64)
    async with opening as reader, held_bytes_at_most(2 * WIDE_BYTES + MIB):
        async for batch in reader:
            got += batch.column(0).to_pylist()
            for _ in range(100):  # turns in which other ranges may take in rows, which wait
                await asyncio.sleep(0)
    assert got == texts


async def test_few_records_of_great_width(client: Client, make_table) -> None:
    texts = rows_of_two_widths(60)
    path = await make_table("text string", pa.table({"text": texts}))
    async with client.open_reader(path, memory_limit_bytes=2 * MIB, concurrency=64, wire_form="record") as reader:
        got = [text async for batch in reader for text in batch.column(0).to_pylist()]
    assert got == texts


def rows_of_two_widths(count: int) -> list[str]:
    return [f"{number:04}" * (WIDE_BYTES // 4 if number % 10 == 9 else 25) for number in range(count)]
