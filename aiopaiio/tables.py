"""Many tables at once: readers side by side, their batches merged as they come, memory shared out among them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable, Sequence
from typing import TYPE_CHECKING

import anyio
import anyio.abc
import pyarrow as pa

from aiopaiio.arguments import whole_number
from aiopaiio.read_planning import SESSIONS_AT_ONCE
from aiopaiio.table_path import TablePath

if TYPE_CHECKING:
    from aiopaiio.client import Client

__all__ = ["read_tables"]

_SESSIONS_AHEAD = 64
"""Tables whose sessions are made before it is their turn, so that no table begins by waiting for the service."""


async def read_tables(
    client: Client,
    paths: Sequence[tuple[str, TablePath]],
    selected_cols: str | Iterable[str] | None,
    excluded_cols: str | Iterable[str] | None,
    *,
    tables_at_once: int,
    memory_limit_bytes: int,
) -> AsyncGenerator[tuple[str, pa.RecordBatch], None]:
    """See :meth:`aiopaiio.Client.read_tables`."""
    whole_number("tables_at_once", tables_at_once, least=1)
    whole_number("memory_limit_bytes", memory_limit_bytes, least=1)
    share_bytes = max(1, memory_limit_bytes // min(tables_at_once, max(1, len(paths))))
    # One batch at a time crosses over; the readers behind it hold what waits, within their shares.
    sender, receiver = anyio.create_memory_object_stream[tuple[str, pa.RecordBatch]](0)
    failures: list[Exception] = []
    ahead = anyio.CapacityLimiter(tables_at_once + _SESSIONS_AHEAD)
    opening = anyio.CapacityLimiter(SESSIONS_AT_ONCE)
    reading = anyio.CapacityLimiter(tables_at_once)

    async def read_one(name: str, path: TablePath) -> None:
        async with ahead:
            async with opening:
                reader = await client.open_reader(path, selected_cols, excluded_cols, memory_limit_bytes=share_bytes)
            # Nothing is downloaded, nor held, before it is read.
            async with reader, reading:
                async for batch in reader:
                    await sender.send((name, batch))

    async def read_all() -> None:
        # A task of its own owns the group: the consumer may leave between two batches.
        with sender:
            async with anyio.create_task_group() as group:
                for name, path in paths:
                    group.start_soon(read_guarded, name, path, group)

    async def read_guarded(name: str, path: TablePath, group: anyio.abc.TaskGroup) -> None:
        try:
            await read_one(name, path)
        except Exception as error:
            failures.append(error)
            group.cancel_scope.cancel()

    owner = asyncio.create_task(read_all(), name="aiopaiio read_tables")
    try:
        with receiver:
            async for item in receiver:
                yield item
        if failures:
            raise failures[0]
    finally:
        owner.cancel()
        with anyio.CancelScope(shield=True):
            await asyncio.wait([owner])
