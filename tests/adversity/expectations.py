"""The one expectation of all tests here: exactly the rows, or a typed error after a part of them; never silence."""

from __future__ import annotations

from typing import Any

import anyio
import pyarrow as pa

from aiopaiio import Client, errors

HANG_SECONDS = 20
"""Beyond any wait that the tests configure: whoever gets here waits for ever."""

COLUMNS = "id bigint, text string"


def numbered(count: int, width: int = 90, start: int = 0) -> pa.Table:
    """``count`` rows with a number and a text of ``width`` characters, NULL in every seventh row."""
    numbers = range(start, start + count)
    return pa.table(
        {
            "id": pa.array(numbers, pa.int64()),
            "text": pa.array([None if i % 7 == 0 else f"{i:0{width}}" for i in numbers], pa.string()),
        }
    )


async def read_outcome(client: Client, path: str, rows: pa.Table, **options: Any) -> errors.Error | None:
    """Read a table that holds ``rows``: None when they all came, else the error after the first of them."""
    batches: list[pa.RecordBatch] = []
    error: errors.Error | None = None
    with anyio.fail_after(HANG_SECONDS):
        try:
            async with client.open_reader(path, **options) as reader:
                async for batch in reader:
                    batches.append(batch)
        except errors.Error as raised:
            error = raised
    count = sum(batch.num_rows for batch in batches)
    if batches:
        assert pa.Table.from_batches(batches).to_pylist() == rows.slice(0, count).to_pylist()
    assert error is not None or count == rows.num_rows, f"{count} of {rows.num_rows} rows in silence"
    return error


async def write_outcome(client: Client, path: str, rows: pa.Table, **options: Any) -> errors.Error | None:
    """Append ``rows`` and close: None, or the error."""
    with anyio.fail_after(HANG_SECONDS):
        try:
            async with client.open_writer(path, **options) as writer:
                await writer.write_batch(rows)
        except errors.Error as raised:
            return raised
    return None


async def held_rows(client: Client, path: str) -> list[dict[str, Any]]:
    """What the table holds, read without faults, ordered by ``id``."""
    async with client.open_reader(path) as reader:
        rows = [row async for batch in reader for row in batch.to_pylist()]
    return sorted(rows, key=lambda row: row["id"])
