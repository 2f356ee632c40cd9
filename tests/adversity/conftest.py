"""A client that soon gives up, tables to read and to write, and what must be gone when all is over."""

from __future__ import annotations

import asyncio
import itertools
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import closing
from pathlib import Path

import psutil
import pyarrow as pa
import pytest

from aiopaiio import Client, RetryPolicy
from aiopaiio.local import LocalService

IMPATIENT = RetryPolicy(outage_seconds=4.0, throttle_seconds=4.0, first_wait_seconds=0.001, longest_wait_seconds=0.01)
"""Heals whatever happens a few times, also on a slow machine."""

HASTY = RetryPolicy(outage_seconds=0.1, throttle_seconds=0.1, first_wait_seconds=0.001, longest_wait_seconds=0.01)
"""For faults that never end."""


@pytest.fixture
def connect(local_service: LocalService) -> Callable[..., Client]:
    """Make clients of the service; options are those of ``Client``."""

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
    """Create a table, perhaps with rows; gives its path."""
    numbers = itertools.count()

    async def make_table(columns: str, rows: pa.Table | None = None) -> str:
        name = f"t{next(numbers)}"
        await client.execute_sql(f"create table {name} ({columns})")
        path = f"odps://demo/tables/{name}"
        if rows is not None:
            async with client.open_writer(path) as writer:
                await writer.write_batch(rows)
        return path

    return make_table


@pytest.fixture
def age_tables(local_service: LocalService, tmp_path: Path) -> Callable[[], None]:
    """Let all tables have been written a minute ago, so that a change from now on shows in whole seconds."""

    def age() -> None:
        with closing(sqlite3.connect(tmp_path / "root" / "metadata.sqlite3")) as database, database:
            for table in ("tables", "partitions"):
                database.execute(f"UPDATE {table} SET modified = modified - 60, ddl_modified = ddl_modified - 60")

    return age


@pytest.fixture
def connections() -> Callable[[LocalService], int]:
    """How many connections to a service in this process are open, seen from the client's end."""

    def count(service: LocalService) -> int:
        return sum(
            1
            for connection in psutil.Process().net_connections("tcp")
            if connection.status == psutil.CONN_ESTABLISHED
            and connection.raddr
            and connection.raddr.port == service.port
        )

    return count


@pytest.fixture
async def own_tasks() -> AsyncIterator[Callable[[], set[asyncio.Task[object]]]]:
    """The library's tasks that run now."""

    def tasks() -> set[asyncio.Task[object]]:
        return {task for task in asyncio.all_tasks() if task.get_name().startswith("aiopaiio") and not task.done()}

    yield tasks
    assert not tasks()


@pytest.fixture
def seed() -> int:
    """A fixed seed, printed when the test fails."""
    value = 20_240_607
    print(f"seed {value}")
    return value
