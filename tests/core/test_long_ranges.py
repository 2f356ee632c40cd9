"""Where one stream is enough, all rows are asked for at once; when it no longer is, what is missing is shared."""

from __future__ import annotations

from itertools import count

import pyarrow as pa
import pytest

from aiopaiio import Client
from aiopaiio.local import LocalService
from aiopaiio.stream_count import StreamCount

from .conftest import NUMBERED, numbered

MIB = 1 << 20


@pytest.mark.parametrize("wire_form", ["arrow", "record"])
@pytest.mark.parametrize(
    ("looks", "least_requests", "most_requests"),
    [(10**9, 2, 2), (0, 4, 99), pytest.param(1, 5, 99, id="before its first row"), (3, 4, 99)],
)
async def test_a_long_range_is_cut_short(
    client: Client,
    local_service: LocalService,
    make_table,
    monkeypatch: pytest.MonkeyPatch,
    looks: int,
    least_requests: int,
    most_requests: int,
    wire_form: str,
) -> None:
    table = numbered(40_000, width=200)
    path = await make_table(NUMBERED, table)
    numbers = count()
    # Whether one stream is enough is measured; here it is so for a number of looks.
    monkeypatch.setattr(StreamCount, "one_is_enough", property(lambda self: next(numbers) < looks))
    before = local_service.statistics.requests["read_rows"]
    async with client.open_reader(path, memory_limit_bytes=32 * MIB, wire_form=wire_form) as reader:
        batches = [batch async for batch in reader]
    assert pa.Table.from_batches(batches).equals(table)
    assert least_requests <= local_service.statistics.requests["read_rows"] - before <= most_requests


async def test_ranges_before_a_long_one_end_while_it_is_under_way(
    client: Client, local_service: LocalService, make_table, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Of known width, so that two ranges are asked for at the beginning.
    table = pa.table({"id": pa.array(range(1_000_000), pa.int64())})
    path = await make_table("id bigint", table)
    monkeypatch.setattr(StreamCount, "one_is_enough", True)
    async with client.open_reader(path) as reader:
        batches = [batch async for batch in reader]
    assert pa.Table.from_batches(batches).equals(table)
    assert local_service.statistics.requests["read_rows"] == 2
