"""Cancelling anywhere: no task, connection or lock stays behind, and a reader goes on where it was."""

from __future__ import annotations

import asyncio
import random

import anyio
import pyarrow as pa
import pytest

from aiopaiio import Client, errors
from aiopaiio.batch_queue import BatchQueue
from aiopaiio.local import Limits, LocalService, serve
from aiopaiio.local.faults import Fault, Stall, Status

from .expectations import COLUMNS, HANG_SECONDS, held_rows, numbered, read_outcome

ROWS = numbered(2000)
SMALL = {"memory_limit_bytes": 160_000, "concurrency": 3}


async def until_fired(service: LocalService, count: int = 1) -> None:
    """Wait until so many faults have happened, by letting the loop go round."""
    with anyio.fail_after(HANG_SECONDS):
        while len(service.faults.log) < count:
            await asyncio.sleep(0)


async def cancelled(task: asyncio.Task[object]) -> None:
    task.cancel()
    with anyio.fail_after(HANG_SECONDS), pytest.raises(asyncio.CancelledError):
        await task


async def idle(service: LocalService, connections, count: int = 0) -> None:
    """Wait until no more than ``count`` connections to the service are open."""
    with anyio.fail_after(HANG_SECONDS):
        while connections(service) > count:
            await asyncio.sleep(0.001)


async def test_a_batch_that_arrives_as_its_receiver_is_cancelled_is_not_lost() -> None:
    batch = pa.record_batch({"a": [1, 2]})
    queue = BatchQueue(1000)
    receiving = asyncio.create_task(queue.receive())
    await asyncio.sleep(0)
    await queue.send(batch, 16)
    await cancelled(receiving)
    assert await queue.receive() is batch
    queue.leave()


@pytest.mark.parametrize("number", [1, 2, 4])
async def test_a_read_cancelled_while_it_waits_goes_on_later(
    client, make_table, local_service: LocalService, own_tasks, number: int
) -> None:
    path = await make_table(COLUMNS, ROWS)
    local_service.faults.add(Fault("read_rows", Stall(seconds=0.3, after_bytes=20), number))
    async with client.open_reader(path, **SMALL) as reader:
        reading = asyncio.create_task(reader.read(ROWS.num_rows))
        await until_fired(local_service)
        await cancelled(reading)
        records = await reader.read(ROWS.num_rows)
    assert records["id"].tolist() == list(range(ROWS.num_rows))
    assert not own_tasks()


@pytest.mark.parametrize("turn", range(0, 60, 6))
async def test_a_read_cancelled_at_any_turn_of_the_loop_loses_no_row(
    client, make_table, own_tasks, seed: int, turn: int
) -> None:
    path = await make_table(COLUMNS, ROWS)
    turns = random.Random(seed + turn)
    ids: list[int] = []
    cancellations = 0
    async with client.open_reader(path, **SMALL) as reader:
        while True:
            reading = asyncio.create_task(reader.read_batch())
            for _ in range(turns.randrange(turn + 2)):
                await asyncio.sleep(0)
            reading.cancel()
            try:
                batch = await reading
            except asyncio.CancelledError:
                cancellations += 1
                if cancellations > 500:
                    batch = await reader.read_batch()
                else:
                    continue
            if batch is None:
                break
            ids += batch.column("id").to_pylist()
    assert ids == list(range(ROWS.num_rows))
    assert not own_tasks()


async def test_a_cancelled_seek_loses_no_row(client, make_table, own_tasks) -> None:
    path = await make_table(COLUMNS, ROWS)
    async with client.open_reader(path, **SMALL) as reader:
        ids = (await reader.read(100))["id"].tolist()
        seeking = asyncio.create_task(reader.seek(1999))
        await asyncio.sleep(0)
        seeking.cancel()
        await asyncio.wait([seeking])
        assert reader.position in (100, 1999)
        await reader.seek(100)
        ids += (await reader.read(ROWS.num_rows))["id"].tolist()
    assert ids == list(range(ROWS.num_rows))


@pytest.mark.parametrize("operation", ["tunnel_lookup", "create_download"])
async def test_cancelled_while_a_reader_opens(
    connect, make_table, local_service: LocalService, connections, own_tasks, operation: str
) -> None:
    path = await make_table(COLUMNS, ROWS)
    async with connect() as client:
        local_service.faults.add(Fault(operation, Stall(), 1))
        before = connections(local_service)

        async def opening() -> object:
            return await client.open_reader(path)

        task = asyncio.create_task(opening())
        await until_fired(local_service)
        await cancelled(task)
        await idle(local_service, connections, before)
        assert await read_outcome(client, path, ROWS) is None
    assert not own_tasks()


async def test_cancelled_after_some_batches(connect, make_table, local_service, connections, own_tasks) -> None:
    path = await make_table(COLUMNS, ROWS)
    before = connections(local_service)
    async with connect() as client:
        for count in range(4):
            local_service.faults.clear()
            local_service.faults.add(Fault("read_rows", Stall(after_bytes=0), count + 1, 1000))
            local_service.faults.log.clear()

            async def some(count: int = count) -> None:
                async with client.open_reader(path, **SMALL) as reader:
                    for _ in range(count):
                        assert await reader.read_batch()
                    await reader.read(ROWS.num_rows)

            task = asyncio.create_task(some())
            await until_fired(local_service)
            await cancelled(task)
            assert not own_tasks()
        local_service.faults.clear()
        assert await read_outcome(client, path, ROWS, **SMALL) is None
    await idle(local_service, connections, before)


async def test_cancelled_by_a_scope_during_close(client, make_table, local_service: LocalService, own_tasks) -> None:
    path = await make_table(COLUMNS, ROWS)
    local_service.faults.add(Fault("read_rows", Stall(after_bytes=0)))
    with anyio.CancelScope() as scope:
        async with client.open_reader(path, **SMALL) as reader:
            task = asyncio.create_task(reader.read_batch())
            await until_fired(local_service)
            scope.cancel()
    assert not own_tasks()
    with pytest.raises(errors.ClosedError):
        await task


async def test_closed_before_its_first_download_has_begun(client, make_table, own_tasks) -> None:
    path = await make_table(COLUMNS, ROWS)
    with anyio.fail_after(HANG_SECONDS):
        reader = await client.open_reader(path)
        reading = asyncio.create_task(reader.read_batch())
        await asyncio.sleep(0)
        await reader.aclose()
        with pytest.raises(errors.ClosedError):
            await reading
    assert not own_tasks()


# -------------------------------------------------------------------------------------------------------------- writing


@pytest.mark.parametrize("operation", ["tunnel_lookup", "create_upload"])
async def test_cancelled_while_a_writer_opens(
    connect, make_table, local_service: LocalService, own_tasks, operation: str
) -> None:
    path = await make_table(COLUMNS)
    async with connect() as client:
        local_service.faults.add(Fault(operation, Stall(), 1))

        async def opening() -> object:
            return await client.open_writer(path)

        task = asyncio.create_task(opening())
        await until_fired(local_service)
        await cancelled(task)
        # The slice is free again.
        async with client.open_writer(path) as writer:
            await writer.write_batch(ROWS)
        assert await held_rows(client, path) == ROWS.to_pylist()
    assert not own_tasks()


@pytest.mark.parametrize("operation", ["put_block", "reload_upload", "commit_upload"])
async def test_cancelled_while_a_writer_closes(
    client, make_table, local_service: LocalService, own_tasks, operation: str
) -> None:
    path = await make_table(COLUMNS)
    writer = await client.open_writer(path, block_bytes=20_000)
    await writer.write_batch(ROWS.slice(0, 5))
    local_service.faults.add(Fault(operation, Stall()))
    task = asyncio.create_task(writer.close())
    await until_fired(local_service)
    await cancelled(task)
    assert not own_tasks()
    local_service.faults.clear()
    assert await held_rows(client, path) == []
    async with client.open_writer(path) as again:
        await again.write_batch(ROWS)
    assert await held_rows(client, path) == ROWS.to_pylist()


async def test_cancelled_in_a_shared_upload(client, make_table, local_service: LocalService, own_tasks) -> None:
    path = await make_table(COLUMNS)
    shared = await client.create_upload(path, 2)
    local_service.faults.add(Fault("put_block", Stall(), 1))

    async def opening() -> object:
        return await client.open_writer(path, upload=shared)

    task = asyncio.create_task(opening())
    await until_fired(local_service)
    await cancelled(task)
    assert not own_tasks()
    # The claim never reached the service, and the lock is free: the slice can be taken.
    async with client.open_writer(path, 0, upload=shared) as writer:
        await writer.write_batch(ROWS)
    async with client.open_writer(path, 1, upload=shared):
        pass
    await client.commit_upload(shared)
    assert await held_rows(client, path) == ROWS.to_pylist()


async def test_a_cancelled_write_has_taken_its_rows(client, make_table, local_service: LocalService, own_tasks) -> None:
    """``rows_written`` says what was taken, and exactly that is committed."""
    path = await make_table(COLUMNS)
    local_service.faults.add(Fault("put_block", Stall(seconds=0.5), 1))
    async with client.open_writer(path, block_bytes=10_000, concurrency=1) as writer:
        task = asyncio.create_task(writer.write_batch(numbered(20_000)))
        await until_fired(local_service)
        for _ in range(20):
            await asyncio.sleep(0)
        assert not task.done()
        await cancelled(task)
        assert writer.rows_written == 20_000
        await writer.write_batch(numbered(10, start=20_000))
    assert await held_rows(client, path) == numbered(20_010).to_pylist()
    assert not own_tasks()


async def test_two_tasks_write_at_once(client, make_table) -> None:
    path = await make_table(COLUMNS)
    async with client.open_writer(path, block_bytes=10_000, concurrency=1) as writer:
        writes = [writer.write_batch(numbered(5000, start=5000 * n)) for n in range(4)]
        results = await asyncio.gather(*writes, return_exceptions=True)
        assert all(result is None or isinstance(result, errors.BusyError) for result in results)
        taken = [n for n, result in enumerate(results) if result is None]
        assert writer.rows_written == 5000 * len(taken)
    expected = [row for n in taken for row in numbered(5000, start=5000 * n).to_pylist()]
    assert await held_rows(client, path) == expected


async def test_an_unclosed_writer_warns_and_leaves_no_task(client, make_table, local_service, own_tasks) -> None:
    path = await make_table(COLUMNS)
    local_service.faults.add(Fault("put_block", Stall(), 1))
    writer = await client.open_writer(path, block_bytes=1 << 17)
    await writer.write_batch(numbered(16_400))
    await until_fired(local_service)
    holder = [writer]
    del writer
    with pytest.warns(ResourceWarning, match="none of its rows"):
        holder.clear()
    with anyio.fail_after(HANG_SECONDS):
        while own_tasks():
            await asyncio.sleep(0)
    async with client.open_writer(path) as again:
        await again.write_batch(ROWS)
    assert await held_rows(client, path) == ROWS.to_pylist()


# ---------------------------------------------------------------------------------------------------------- many tables


async def test_many_tables_left_early(client, make_table, local_service, own_tasks) -> None:
    paths = [await make_table(COLUMNS, ROWS) for _ in range(4)]
    generator = client.read_tables(paths, memory_limit_bytes=400_000)
    async for _ in generator:
        break
    await generator.aclose()
    assert not own_tasks()

    async def consume() -> None:
        async for _ in client.read_tables(paths, memory_limit_bytes=400_000):
            pass

    local_service.faults.add(Fault("read_rows", Stall(after_bytes=0), 3, 1000))
    task = asyncio.create_task(consume())
    await until_fired(local_service)
    await cancelled(task)
    with anyio.fail_after(HANG_SECONDS):
        while own_tasks():
            await asyncio.sleep(0)


async def test_an_error_in_one_of_many_tables(client, make_table, local_service, own_tasks) -> None:
    paths = [await make_table(COLUMNS, ROWS) for _ in range(3)]
    forbidden = Status(403, "NoPermission")
    local_service.faults.add(Fault("read_rows", forbidden, when=lambda operation: operation.table == "t1"))
    counts = dict.fromkeys(paths, 0)
    with anyio.fail_after(HANG_SECONDS), pytest.raises(errors.AuthorizationError) as raised:
        async for path, batch in client.read_tables(paths):
            assert batch.column("id").to_pylist() == list(range(counts[path], counts[path] + batch.num_rows))
            counts[path] += batch.num_rows
    assert raised.value.table == "demo.t1"
    assert counts[paths[1]] == 0
    assert not own_tasks()


async def test_an_unforeseen_exception_in_one_of_many_tables(client, make_table, monkeypatch, own_tasks) -> None:
    paths = [await make_table(COLUMNS, ROWS) for _ in range(2)]

    def broken(*_: object) -> None:
        raise RuntimeError("not foreseen")

    monkeypatch.setattr("aiopaiio.reader.TableReader._row_source", broken)
    with anyio.fail_after(HANG_SECONDS), pytest.raises(RuntimeError, match="not foreseen"):
        async for _ in client.read_tables(paths):
            pass
    assert not own_tasks()


# --------------------------------------------------------------------------------------------- embedded service, loops


async def test_cancelled_while_the_embedded_service_starts(tmp_path, own_tasks) -> None:
    client = Client(endpoint=f"local:{tmp_path / 'root'}", project="demo")
    for turns in range(6):
        task = asyncio.create_task(client.execute_sql("show tables"))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
    with anyio.fail_after(HANG_SECONDS):
        await client.execute_sql("create table t (a bigint)")
        assert len(own_tasks()) == 1
        await client.aclose()
    assert not own_tasks()


def test_two_event_loops(tmp_path) -> None:
    client = Client(endpoint=f"local:{tmp_path / 'root'}", project="demo")

    async def first() -> None:
        await client.execute_sql("create table t (a bigint)")
        await client.aclose()
        client._closed = False  # as one that was not closed, without leaving open sockets to the test

    async def second() -> None:
        with pytest.raises(errors.UsageError, match="event loop"):
            await client.open_reader("odps://demo/tables/t")

    asyncio.run(first())
    asyncio.run(second())


async def test_limits_and_stalls_leave_the_slots_free(tmp_path, connect, make_table, own_tasks) -> None:
    path = await make_table(COLUMNS, ROWS)
    async with serve(tmp_path / "root", limits=Limits(slots=2)) as service:
        keys = {"endpoint": service.endpoint, "access_id": service.access_id, "access_key": service.access_key}
        async with connect(**keys) as client:
            for _ in range(5):
                service.faults.add(Fault("read_rows", Stall(after_bytes=0), 1, 2))
                reader = await client.open_reader(path, concurrency=2, memory_limit_bytes=100_000)
                reading = asyncio.create_task(reader.read_batch())
                await until_fired(service)
                await cancelled(reading)
                await reader.aclose()
                service.faults.clear()
                service.faults.log.clear()
            assert await read_outcome(client, path, ROWS) is None
