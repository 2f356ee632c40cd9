"""A client of a service in the test's own loop, and tables to read."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Awaitable, Callable

import pyarrow as pa
import pytest

from aiopaiio import Client, RetryPolicy
from aiopaiio.local import LocalService

IMPATIENT = RetryPolicy(outage_seconds=2.0, throttle_seconds=2.0, first_wait_seconds=0.001, longest_wait_seconds=0.01)


@pytest.fixture
def connect(local_service: LocalService) -> Callable[..., Client]:
    """Make further clients of the service."""

    def connect(**options: object) -> Client:
        settings = {
            "endpoint": local_service.endpoint,
            "access_id": local_service.access_id,
            "access_key": local_service.access_key,
            "project": "demo",
            "retry": IMPATIENT,
        }
        return Client(**(settings | options))  # type: ignore[arg-type]

    return connect


@pytest.fixture
async def client(connect: Callable[..., Client]) -> AsyncIterator[Client]:
    async with connect() as client:
        yield client


@pytest.fixture
def make_table(client: Client) -> Callable[..., Awaitable[str]]:
    """Create a table and write batches into it; gives its path."""
    numbers = itertools.count()

    async def make_table(columns: str, batch: pa.RecordBatch | pa.Table | None = None, partition: str = "") -> str:
        name = f"t{next(numbers)}"
        keys = ", ".join(f"{part.split('=')[0]} string" for part in partition.split("/") if part)
        partitioned = f" partitioned by ({keys})" if keys else ""
        await client.execute_sql(f"create table {name} ({columns}){partitioned}")
        path = f"odps://demo/tables/{name}" + (f"/{partition}" if partition else "")
        if batch is not None:
            async with client.open_writer(path) as writer:
                await writer.write_batch(batch)
        return path

    return make_table


def numbered(count: int, width: int = 10) -> pa.Table:
    """``count`` rows: a number, half of it, and a text of ``width`` that is NULL in every fifth row."""
    return pa.table(
        {
            "id": pa.array(range(count), pa.int64()),
            "half": pa.array([i / 2 for i in range(count)], pa.float64()),
            "text": pa.array([None if i % 5 == 0 else f"{i:0{width}}" for i in range(count)], pa.string()),
        }
    )


NUMBERED = "id bigint, half double, text string"
