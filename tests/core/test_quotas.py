"""The quotas of the real service are waited for, whoever asks: by as many requests as are needed, and few more."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pyarrow as pa
import pytest

from aiopaiio import Client, RetryPolicy, errors
from aiopaiio.local import Limits, Link, LocalService, serve
from aiopaiio.session_quota import SessionQuota

from .conftest import NUMBERED, numbered

MakeTable = Callable[..., Awaitable[str]]


@asynccontextmanager
async def served_again(
    root: Path, limits: Limits, retry: RetryPolicy, link: Link | None = None
) -> AsyncIterator[tuple[Client, LocalService]]:
    """The tables of a folder under other limits."""
    async with (
        serve(root, limits=limits, link=link) as service,
        Client(
            endpoint=service.endpoint, access_id=service.access_id, access_key=service.access_key, retry=retry
        ) as client,
    ):
        yield client, service


@pytest.mark.parametrize("how", ["read_tables", pytest.param("open_reader", marks=pytest.mark.slow)])
async def test_more_partitions_than_sessions(how: str, make_table: MakeTable, client: Client, tmp_path: Path) -> None:
    first = await make_table("id bigint", pa.table({"id": [0]}), partition="p=0")
    paths = [first[:-1] + str(number) for number in range(11)]
    for number, path in enumerate(paths[1:], 1):
        async with client.open_writer(path) as writer:
            await writer.write_batch(pa.table({"id": [number]}))
    limits = Limits(sessions_per_5_minutes=4, session_window_seconds=0.5)
    # Two waits of a second: longer than anybody waits for itself.
    patience = RetryPolicy(throttle_seconds=1.5)
    async with served_again(tmp_path / "root", limits, patience) as (reading, service):
        if how == "read_tables":
            ids = [batch["id"][0].as_py() async for _, batch in reading.read_tables(paths)]
        else:
            joined = first + "".join(f"&p={number}" for number in range(1, 11))
            async with reading.open_reader(joined) as reader:
                ids = [batch["id"][0].as_py() async for batch in reader]
        assert sorted(ids) == list(range(11))
        assert service.statistics.statuses[429] <= 7 + 3


async def test_fewer_slots_than_streams(make_table: MakeTable, tmp_path: Path) -> None:
    table = numbered(100_000, width=100)
    path = await make_table(NUMBERED, table)
    limits, link = Limits(slots=2), Link(stream_bytes_per_second=8e6)
    async with (
        served_again(tmp_path / "root", limits, RetryPolicy(), link) as (reading, service),
        reading.open_reader(path) as reader,
    ):
        batches = [batch async for batch in reader]
        assert service.statistics.statuses[429] > 0
    assert pa.Table.from_batches(batches).equals(table)


async def test_the_end_of_patience_is_raised_with_the_reason() -> None:
    async def refused() -> None:
        raise errors.Throttled("quota", code="FlowExceeded", status=429)

    async def once_more(once: Callable[[], Awaitable[None]]) -> None:
        await once()

    with pytest.raises(errors.Throttled, match="quota"):
        await SessionQuota().ask(refused, once_more)
