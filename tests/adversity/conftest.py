"""What adversity tests need beside a client: more haste, older tables, and a look at what must be gone at the end."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from pathlib import Path

import psutil
import pytest

from aiopaiio import RetryPolicy
from aiopaiio.local import LocalService, downloads

HASTY = RetryPolicy(outage_seconds=0.1, throttle_seconds=0.1, first_wait_seconds=0.001, longest_wait_seconds=0.01)
"""For faults that never end."""


@pytest.fixture
def age_tables(local_service: LocalService, tmp_path: Path) -> Callable[[], None]:
    """Let all tables have been written a minute ago, so that a change from now on shows in whole seconds."""

    def age() -> None:
        with closing(sqlite3.connect(tmp_path / "root" / "metadata.sqlite3")) as database, database:
            for table in ("tables", "partitions"):
                database.execute(f"UPDATE {table} SET modified = modified - 60, ddl_modified = ddl_modified - 60")

    return age


@pytest.fixture
def alike_bodies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bodies of the same rows have the same size: the times in the metrics block would make some a byte shorter."""
    monkeypatch.setattr(downloads, "_metrics", lambda began: {"ServerTotalCost": 1})


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
