"""Reading: batches and records, slices, seeks, columns, partitions, forms on the wire."""

from __future__ import annotations

import asyncio
import gc
import pickle

import anyio
import pyarrow as pa
import pytest

import aiopaiio
from aiopaiio import Client, RowRange, errors
from aiopaiio.local import LocalService

from .conftest import NUMBERED, numbered


async def read_all(reader: aiopaiio.TableReader) -> list[dict]:
    return [row async for batch in reader for row in batch.to_pylist()]


@pytest.mark.parametrize("wire_form", ["auto", "arrow", "record"])
@pytest.mark.parametrize("compression", [None, "deflate", "zstd", "lz4", "snappy"])
async def test_reads_what_was_written(client: Client, make_table, wire_form, compression) -> None:
    table = numbered(10_000)
    path = await make_table(NUMBERED, table)
    async with client.open_reader(path, wire_form=wire_form, compression=compression) as reader:
        assert reader.row_count == reader.table_row_count == 10_000
        batches = [batch async for batch in reader]
        assert all(batch.schema.equals(reader.schema) for batch in batches)
    assert pa.Table.from_batches(batches).to_pylist() == table.to_pylist()


@pytest.mark.parametrize("concurrency", [pytest.param(1, marks=pytest.mark.slow), 3, 64])
async def test_many_ranges_at_once_come_in_row_order(client: Client, make_table, concurrency: int) -> None:
    table = numbered(60_000, width=200)
    path = await make_table(NUMBERED, table)
    opening = client.open_reader(path, concurrency=concurrency, memory_limit_bytes=1 << 20, capacity_rows=5000)
    async with opening as reader:
        ids = [number async for batch in reader for number in batch.column("id").to_pylist()]
    assert ids == list(range(60_000))


async def test_each_download_holds_its_share_of_the_capacity(client: Client, make_table) -> None:
    path = await make_table(NUMBERED, numbered(3))
    for _ in range(19):  # batches do not span what was appended at once
        async with client.open_writer(path) as writer:
            await writer.write_batch(numbered(3))
    most, count = 0, 0
    async with client.open_reader(path, concurrency=2, capacity_rows=11) as reader:
        async for batch in reader:
            count += batch.num_rows
            for _ in range(20):  # turns in which more rows come
                await asyncio.sleep(0)
                assert reader._prefetch is not None
                most = max([most, *(slot.queue._rows for slot in reader._prefetch._window)])
    assert (most, count) == (6, 60)


async def test_slices_and_row_ranges(client: Client, make_table) -> None:
    path = await make_table(NUMBERED, numbered(11))
    seen = []
    for slice_id in range(4):
        async with client.open_reader(path, slice_id=slice_id, slice_count=4) as reader:
            assert reader.end_pos - reader.start_pos == reader.row_count
            assert reader.table_row_count == 11
            seen.append([row["id"] for row in await read_all(reader)])
    assert seen == [[0, 1, 2], [3, 4, 5], [6, 7, 8], [9, 10]]
    async with client.open_reader(f"{path}?start=2&end=9", slice_id=1, slice_count=2) as reader:
        assert (reader.start_pos, reader.end_pos) == (6, 9)
        assert [row["id"] for row in await read_all(reader)] == [6, 7, 8]
    async with client.open_reader(f"{path}?start=4&end=4") as reader:
        assert await read_all(reader) == []
    async with client.open_reader(path, slice_id=19, slice_count=20) as reader:
        assert reader.row_count == 0
        with pytest.raises(errors.OutOfRange):
            await reader.read()
    with pytest.raises(errors.SliceError, match="11 rows"):
        await client.open_reader(f"{path}?start=4&end=12")


async def test_records(client: Client, make_table) -> None:
    path = await make_table(NUMBERED, numbered(10))
    async with client.open_reader(path, "text,id") as reader:
        records = await reader.read(3)
        assert list(records) == [(None, 0), ("0000000001", 1), ("0000000002", 2)]
        assert records.dtype.names == ("text", "id")
        assert len(await reader.read(100)) == 7
        for _ in range(2):
            with pytest.raises(errors.OutOfRange, match="End of table reached!"):
                await reader.read(1)
        with pytest.raises(errors.OutOfRange):
            await reader.read(0)
    with pytest.raises(errors.ClosedError, match="closed"):
        await reader.read(1)


async def test_read_zero_and_negative(client: Client, make_table) -> None:
    path = await make_table(NUMBERED, numbered(3))
    async with client.open_reader(path) as reader:
        nothing = await reader.read(0)
        assert len(nothing) == 0
        assert nothing.dtype.names == ("id", "half", "text")
        with pytest.raises(errors.UsageError, match="at least 0"):
            await reader.read(-1)


async def test_tuples(client: Client, make_table) -> None:
    path = await make_table(NUMBERED, numbered(10))
    async with client.open_reader(path, "text,id") as reader:
        assert await reader.read_tuples(3) == [(None, 0), ("0000000001", 1), ("0000000002", 2)]
        assert await reader.read_tuples(0) == []
        assert await reader.read_tuples() == [("0000000003", 3)]
        assert len(await reader.read_tuples(100)) == 6
        for count in (1, 0):
            with pytest.raises(errors.OutOfRange, match="End of table reached!"):
                await reader.read_tuples(count)
        await reader.seek(8)
        assert await reader.read_tuples(2) == [("0000000008", 8), ("0000000009", 9)]
        with pytest.raises(errors.UsageError, match="num_records"):
            await reader.read_tuples(-1)


async def test_batches_and_records_move_one_cursor(client: Client, make_table) -> None:
    path = await make_table(NUMBERED, numbered(9000))
    async with client.open_reader(path) as reader:
        first = (await reader.read(5)).tolist() + await reader.read_tuples(2)
        batch = await reader.read_batch()
        rest = [n async for b in reader for n in b.column("id").to_pylist()]
    assert [row[0] for row in first] + batch.column("id").to_pylist() + rest == list(range(9000))


async def test_seek(client: Client, make_table, local_service: LocalService) -> None:
    path = await make_table(NUMBERED, numbered(20_000))
    async with client.open_reader(path, slice_id=1, slice_count=2) as reader:
        for offset in (5, 0, 9_999, 4_000, 4_001, 1):
            await reader.seek(offset)
            assert reader.position == 10_000 + offset
            assert (await reader.read(1))[0][0] == 10_000 + offset
        await reader.seek(10_000)
        with pytest.raises(errors.OutOfRange):
            await reader.read(1)
        with pytest.raises(errors.OutOfRange, match="10000 rows"):
            await reader.seek(10_001)
        with pytest.raises(errors.SliceError):
            await reader.seek(-1)
        await reader.seek(0)
        assert len(await read_all(reader)) == 10_000


async def test_skipped_rows_are_not_downloaded(client: Client, make_table, local_service: LocalService) -> None:
    path = await make_table(NUMBERED, numbered(50_000, width=100))
    async with client.open_reader(path) as reader:
        before = local_service.statistics.sent_bytes
        await reader.seek(49_990)
        assert len(await reader.read(100)) == 10
        assert local_service.statistics.sent_bytes - before < 10_000


async def test_partitions(client: Client, make_table) -> None:
    path = await make_table(NUMBERED, numbered(10), "ds=1/hh=a")
    table = path.removesuffix("/ds=1/hh=a")
    async with client.open_writer(f"{table}/ds=2/hh=b") as writer:
        await writer.write_batch(numbered(5))
    both = f"{table}/ds=1/hh=a&ds=2/hh=b"
    async with client.open_reader(both, "hh, id, ds") as reader:
        assert reader.row_count == 15
        rows = await read_all(reader)
    assert rows == [{"hh": "a", "id": i, "ds": "1"} for i in range(10)] + [
        {"hh": "b", "id": i, "ds": "2"} for i in range(5)
    ]
    async with client.open_reader(f"{both}?start=8&end=12") as reader:
        assert [row["id"] for row in await read_all(reader)] == [8, 9, 0, 1]
    async with client.open_reader(both, "ds", slice_id=1, slice_count=3) as reader:
        assert [row["ds"] for row in await read_all(reader)] == ["1"] * 5


async def test_excluded_columns(client: Client, make_table) -> None:
    path = await make_table(NUMBERED, numbered(2))
    async with client.open_reader(path, excluded_cols="HALF") as reader:
        assert await read_all(reader) == [{"id": 0, "text": None}, {"id": 1, "text": "0000000001"}]


async def test_a_description_pickles_and_opens_the_same_rows_again(client: Client, make_table, connect) -> None:
    path = await make_table(NUMBERED, numbered(10))
    async with client.open_reader(path, "id", slice_id=1, slice_count=3) as reader:
        description = pickle.loads(pickle.dumps(reader.description))
    async with client.open_writer(path) as writer:
        await writer.write_batch(numbered(10))
    async with connect() as other, other.open_reader(description) as reader:
        assert (reader.start_pos, reader.end_pos) == (4, 7)
        assert [row["id"] for row in await read_all(reader)] == [4, 5, 6]
    assert description.rows == RowRange(4, 7)


async def test_a_session_is_a_snapshot(client: Client, make_table) -> None:
    path = await make_table(NUMBERED, numbered(10))
    async with client.open_reader(path) as reader:
        async with client.open_writer(path, overwrite=True) as writer:
            await writer.write_batch(numbered(3))
        assert len(await read_all(reader)) == 10
    async with client.open_reader(path) as reader:
        assert reader.row_count == 3


async def test_rows_larger_than_the_memory_of_a_stream(client: Client, make_table) -> None:
    texts = [c * 700_000 for c in "abcdefgh"]
    path = await make_table("text string", pa.table({"text": texts}))
    async with client.open_reader(path, memory_limit_bytes=2 << 20, concurrency=2) as reader:
        batches = [batch async for batch in reader]
    assert max(batch.num_rows for batch in batches) == 1
    assert [row["text"] for batch in batches for row in batch.to_pylist()] == texts


async def test_two_tasks_at_once_are_told(client: Client, make_table) -> None:
    path = await make_table(NUMBERED, numbered(10))
    async with client.open_reader(path) as reader:
        first = asyncio.ensure_future(reader.read(1))
        await asyncio.sleep(0)
        with pytest.raises(errors.BusyError, match="another task"):
            await reader.read(1)
        assert (await first)[0][0] == 0


async def test_an_unclosed_reader_warns_and_stops_its_downloads(client: Client, make_table) -> None:
    path = await make_table(NUMBERED, numbered(10))
    reader = await client.open_reader(path)
    await reader.read(1)
    with pytest.warns(ResourceWarning, match="not closed"):  # noqa: PT031 - the collector is what warns
        del reader
        gc.collect()
    with anyio.fail_after(20):
        while [task for task in asyncio.all_tasks() if "prefetch" in task.get_name()]:
            await asyncio.sleep(0)


async def test_the_reader_says_what_it_is(client: Client, make_table) -> None:
    path = await make_table(NUMBERED, numbered(10))
    async with client.open_reader(path, "text") as reader:
        assert "at row 0" in repr(reader)
        assert reader.schema.names == ["text"]
        assert reader.table_schema.columns[0].type == "string"
    assert "closed" in repr(reader)


async def test_no_more_requests_than_needed(client: Client, make_table, local_service: LocalService, connect) -> None:
    path = await make_table(NUMBERED, numbered(10))
    before = local_service.statistics.requests.copy()
    async with connect() as fresh, fresh.open_reader(path) as reader:
        assert len(await read_all(reader)) == 10
    asked = local_service.statistics.requests - before
    assert asked == {"tunnel_lookup": 1, "create_download": 1, "read_rows": 1}
