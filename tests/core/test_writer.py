"""Writing: rows and batches, blocks, commits, aborts, shared uploads."""

from __future__ import annotations

import gc
import pickle

import pyarrow as pa
import pytest

import aiopaiio
from aiopaiio import Client, errors
from aiopaiio.local import LocalService
from aiopaiio.local.faults import Fault, Refuse, Status
from aiopaiio.local.operations import Operation

from .conftest import NUMBERED, numbered


async def rows(client: Client, path: str) -> list[tuple]:
    async with client.open_reader(path) as reader:
        if not reader.row_count:
            return []
        return (await reader.read(reader.row_count)).tolist()


@pytest.mark.parametrize("wire_form", ["arrow", "record"])
@pytest.mark.parametrize("compression", [None, "deflate", "zstd", "lz4", "snappy"])
async def test_batches_in_many_blocks_keep_their_order(client: Client, make_table, wire_form, compression) -> None:
    path = await make_table(NUMBERED)
    table = numbered(20_000)
    opening = client.open_writer(path, block_bytes=1 << 15, wire_form=wire_form, compression=compression, concurrency=3)
    async with opening as writer:
        for start in range(0, 20_000, 777):
            await writer.write_batch(table.slice(start, 777))
        assert writer.rows_written == 20_000
    async with client.open_reader(path) as reader:
        assert pa.Table.from_batches([b async for b in reader]).to_pylist() == table.to_pylist()


@pytest.mark.parametrize("compression", [None, "zstd"])
async def test_a_service_that_refuses_the_arrow_form_gets_records(
    client: Client, make_table, local_service: LocalService, compression: str | None
) -> None:
    path = await make_table(NUMBERED)
    local_service.faults.add(Fault("put_block", Status(415), times=10**6, when=lambda op: "arrow" in op.query))
    table = numbered(20_000)
    before = local_service.statistics.requests["put_block"]
    async with client.open_writer(path, block_bytes=1 << 15, compression=compression, concurrency=3) as writer:
        await writer.write_batch(table)
    assert await rows(client, path) == [tuple(row.values()) for row in table.to_pylist()]
    # Once it is known, nothing is sent in vain.
    assert len(local_service.faults.log) <= 5
    assert local_service.statistics.requests["put_block"] - before > 10
    # The blocks without rows of a shared upload, too; but nobody gets what was not asked for.
    upload = await client.create_upload(path, 1, overwrite=True)
    async with client.open_writer(path, compression=compression, upload=upload) as writer:
        await writer.write((1,))
    await client.commit_upload(upload)
    assert await rows(client, path) == [(1, None, None)]
    with pytest.raises(errors.ServerError):
        async with client.open_writer(path, wire_form="arrow") as writer:
            await writer.write((2,))


async def test_rows_of_python_values(client: Client, make_table) -> None:
    path = await make_table(NUMBERED)
    async with client.open_writer(path) as writer:
        await writer.write((1, 0.5, "x"))
        await writer.write([(2, None, "y"), [3, 1.5, None]])
        await writer.write([["z", 4]], indices=[2, 0])
    assert await rows(client, path) == [(1, 0.5, "x"), (2, None, "y"), (3, 1.5, None), (4, None, "z")]


async def test_a_failing_write_takes_nothing_and_the_writer_goes_on(client: Client, make_table) -> None:
    path = await make_table(NUMBERED)
    async with client.open_writer(path) as writer:
        await writer.write([(1, 1.0, "a")])
        with pytest.raises(errors.ValueTypeError, match="id"):
            await writer.write([(2, 2.0, "b"), ("x", 3.0, "c")])
        assert writer.rows_written == 1
        await writer.write([(4, 4.0, "d")])
    assert await rows(client, path) == [(1, 1.0, "a"), (4, 4.0, "d")]


async def test_batches_are_matched_by_name_and_cast_without_loss(client: Client, make_table) -> None:
    path = await make_table(NUMBERED)
    async with client.open_writer(path) as writer:
        await writer.write_batch(pa.record_batch({"TEXT": ["x"], "Id": pa.array([7], pa.int32())}))
        with pytest.raises(errors.SchemaMismatchError, match="no column 'other'"):
            await writer.write_batch(pa.record_batch({"other": [1]}))
        with pytest.raises(errors.SchemaMismatchError, match="'id'"):
            await writer.write_batch(pa.record_batch({"id": [1.5]}))
        with pytest.raises(errors.SchemaMismatchError, match="twice"):
            await writer.write_batch(pa.record_batch([pa.array([1]), pa.array([1])], names=["id", "ID"]))
        with pytest.raises(errors.ValueTypeError, match="Arrow"):
            await writer.write_batch([(1, 2.0, "x")])
    assert await rows(client, path) == [(7, None, "x")]


async def test_anything_with_the_arrow_interface(client: Client, make_table) -> None:
    class Stream:
        def __arrow_c_stream__(self, requested_schema=None):
            return numbered(2).__arrow_c_stream__(requested_schema)

    path = await make_table(NUMBERED)
    async with client.open_writer(path) as writer:
        await writer.write_batch(Stream())
        await writer.write_batch(numbered(1))
    assert [row[0] for row in await rows(client, path)] == [0, 1, 0]


async def test_a_block_is_uploaded_between_later_writes(
    client: Client, make_table, local_service: LocalService
) -> None:
    """By writes that themselves wait for nothing."""
    path = await make_table(NUMBERED)
    arrived: list[Operation] = []

    def note(operation: Operation) -> bool:
        arrived.append(operation)
        return False

    local_service.faults.add(Fault("put_block", Refuse(), when=note))
    async with client.open_writer(path, block_bytes=1 << 18) as writer:
        written = 20_000
        await writer.write_batch(numbered(written))
        while not arrived and written < 21_000:
            await writer.write_batch(numbered(1))
            written += 1
        assert arrived
    assert len(await rows(client, path)) == written


async def test_not_null(client: Client, make_table) -> None:
    path = await make_table("id bigint not null, text string")
    async with client.open_writer(path) as writer:
        with pytest.raises(errors.ValueTypeError, match="NOT NULL"):
            await writer.write_batch(pa.record_batch({"text": ["x"]}))
        await writer.write_batch(pa.record_batch({"id": [1]}))
    assert await rows(client, path) == [(1, None)]


async def test_append_overwrite_and_nothing(client: Client, make_table) -> None:
    path = await make_table(NUMBERED, numbered(2))
    async with client.open_writer(path) as writer:
        await writer.write_batch(numbered(3))
    assert len(await rows(client, path)) == 5
    async with client.open_writer(path):
        pass
    assert len(await rows(client, path)) == 5
    async with client.open_writer(path, overwrite=True) as writer:
        await writer.write_batch(numbered(1))
    assert len(await rows(client, path)) == 1


async def test_an_exception_makes_nothing_visible(client: Client, make_table) -> None:
    path = await make_table(NUMBERED, numbered(2))
    writer = await client.open_writer(path, block_bytes=1000)
    with pytest.raises(ZeroDivisionError):
        await fail_within(writer)
    assert len(await rows(client, path)) == 2
    with pytest.raises(errors.ClosedError):
        await writer.write((1, 1.0, "x"))
    await writer.close()
    assert len(await rows(client, path)) == 2


async def fail_within(writer: aiopaiio.TableWriter) -> None:
    async with writer:
        await writer.write_batch(numbered(10_000))
        raise ZeroDivisionError


async def test_partitions_are_created_unless_refused(client: Client, make_table) -> None:
    path = await make_table(NUMBERED, None, "ds=1")
    with pytest.raises(errors.NoSuchPartition):
        await client.open_writer(path, create_partition=False)
    async with client.open_writer(path) as writer:
        await writer.write_batch(numbered(1))
    assert len(await rows(client, path)) == 1


async def test_an_unclosed_writer_warns_commits_nothing_and_frees_its_slice(client: Client, make_table) -> None:
    path = await make_table(NUMBERED)
    writer = await client.open_writer(path)
    await writer.write((1, 1.0, "x"))
    with pytest.warns(ResourceWarning, match="none of its rows"):  # noqa: PT031 - the collector is what warns
        del writer
        gc.collect()
    async with client.open_writer(path):
        pass
    assert await rows(client, path) == []


async def test_a_writer_takes_one_partition_and_no_row_range(client: Client) -> None:
    for path in ("odps://demo/tables/t/ds=1&ds=2", "odps://demo/tables/t?start=0&end=1"):
        with pytest.raises(errors.TablePathError, match="one table or partition"):
            client.open_writer(path)


async def test_timestamps_beyond_nanoseconds(client: Client, make_table) -> None:
    path = await make_table("id bigint, at timestamp")
    wide = pa.struct([("sec", pa.int64()), ("nano", pa.int32())])
    values = [{"sec": 0, "nano": 1}, {"sec": 253402300799, "nano": 999999999}, None]
    async with client.open_writer(path) as writer:
        await writer.write_batch(pa.table({"id": [0], "at": pa.array([5], pa.timestamp("ns"))}))
        await writer.write_batch(pa.table({"id": [1, 2, 3], "at": pa.array(values, wide)}))
        await writer.write_batch(pa.table({"id": [4], "at": pa.array([6], pa.timestamp("ns"))}))
    async with client.open_reader(path, wide_timestamps=True) as reader:
        got = [row async for batch in reader for row in batch.to_pylist()]
    assert [row["id"] for row in got] == [0, 1, 2, 3, 4]
    assert [row["at"] for row in got] == [{"sec": 0, "nano": 5}, *values, {"sec": 0, "nano": 6}]
    async with client.open_reader(path) as reader:
        with pytest.raises(errors.TimestampRangeError, match="wide_timestamps"):
            [batch async for batch in reader]


async def test_a_shared_upload_is_committed_once_and_whole(client: Client, make_table, connect) -> None:
    path = await make_table(NUMBERED, numbered(1))
    upload = pickle.loads(pickle.dumps(await client.create_upload(path, 3)))
    async with connect() as other:
        for slice_id in (2, 0):
            async with other.open_writer(path, slice_id, upload=upload) as writer:
                await writer.write_batch(numbered(slice_id + 1))
    assert len(await rows(client, path)) == 1
    with pytest.raises(errors.CommitError, match=r"slices \[1\] of 3"):
        await client.commit_upload(upload)
    async with client.open_writer(path, 1, upload=upload) as writer:
        await writer.write_batch(numbered(2))
    await client.commit_upload(upload)
    await client.commit_upload(upload)
    assert [row[0] for row in await rows(client, path)] == [0, 0, 0, 1, 0, 1, 2]


async def test_a_slice_of_a_shared_upload_takes_one_writer(client: Client, make_table) -> None:
    path = await make_table(NUMBERED)
    upload = await client.create_upload(path, 2)
    async with client.open_writer(path, 0, upload=upload):
        with pytest.raises(errors.SliceConflictError, match="slice 0"):
            await client.open_writer(path, 0, upload=upload)
    with pytest.raises(errors.SliceConflictError, match="was written"):
        await client.open_writer(path, 0, upload=upload)
    with pytest.raises(errors.SliceError, match="2 of 2"):
        await client.open_writer(path, 2, upload=upload)
    with pytest.raises(errors.UsageError, match="shared upload is for"):
        await client.open_writer("odps://demo/tables/other", 1, upload=upload)


async def test_two_writers_of_one_slice(client: Client, make_table, connect) -> None:
    path = await make_table(NUMBERED)
    async with client.open_writer(path, 1), connect() as other:
        with pytest.raises(errors.SliceConflictError, match="slice 1"):
            await other.open_writer(path, 1)
        async with other.open_writer(path, 2) as second:
            await second.write_batch(numbered(1))
    async with client.open_writer(path, 1):
        pass
    assert len(await rows(client, path)) == 1


async def test_no_more_requests_than_needed(client: Client, make_table, local_service: LocalService, connect) -> None:
    path = await make_table(NUMBERED)
    before = local_service.statistics.requests.copy()
    async with connect() as fresh, fresh.open_writer(path) as writer:
        await writer.write((1, 1.0, "x"))
    asked = local_service.statistics.requests - before
    assert asked == {
        "tunnel_lookup": 1,
        "create_upload": 1,
        "put_block": 1,
        "reload_upload": 1,
        "commit_upload": 1,
    }
