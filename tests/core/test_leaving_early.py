"""Whoever stops in the middle of a read leaves no task behind that fails unseen."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import pytest

from aiopaiio import Client
from aiopaiio.batch_queue import BatchQueue

from .conftest import NUMBERED, numbered


async def test_downloads_that_wait_for_room_end_quietly(
    client: Client, make_table, monkeypatch: pytest.MonkeyPatch
) -> None:
    complaints: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, complaint: complaints.append(complaint))
    waiting = asyncio.Event()
    is_full = BatchQueue._is_full

    def is_full_and_told(queue: BatchQueue, more_bytes: int, more_rows: int) -> bool:
        full = is_full(queue, more_bytes, more_rows)
        if full:
            waiting.set()
        return full

    monkeypatch.setattr(BatchQueue, "_is_full", is_full_and_told)
    path = await make_table(NUMBERED, numbered(100_000))
    async with client.open_reader(path, concurrency=1, capacity_rows=1) as reader:
        assert await reader.read_batch() is not None
        await waiting.wait()
    gc.collect()
    assert complaints == []
