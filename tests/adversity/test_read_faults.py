"""Every fault of the engine in every phase of a read: exactly the table, or a typed error after its first rows."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import anyio
import pytest

import aiopaiio
from aiopaiio import errors
from aiopaiio.local import LocalService
from aiopaiio.local.faults import (
    Action,
    ExpireSession,
    Fault,
    FlipBit,
    LoseAnswer,
    Refuse,
    ResetAfter,
    ResetUpload,
    ShortBody,
    SlowBody,
    Stall,
    Status,
    WrongRowCount,
)
from aiopaiio.local.operations import Operation

from .conftest import HASTY
from .expectations import COLUMNS, HANG_SECONDS, numbered, read_outcome

ROWS = numbered(2000)
# Small ranges, so that this table takes about ten requests.
SMALL = {"memory_limit_bytes": 160_000, "concurrency": 3}
READ_TIMEOUT_SECONDS = 0.5


@dataclass(frozen=True)
class Case:
    """A fault of any phase; ``healed`` says that one occurrence must not show at all."""

    action: Action
    healed: bool = True
    body_only: bool = False
    """Whether it makes sense for streams of rows only."""


CASES = {
    "refuse": Case(Refuse()),
    "status-500": Case(Status(500, "InternalServerError")),
    "status-502-of-a-proxy": Case(Status(502)),
    "status-503-come-back-now": Case(Status(503, "ServiceUnavailable", retry_after_seconds=0)),
    "status-408": Case(Status(408, "RequestTimeOut")),
    "status-429": Case(Status(429, "FlowExceeded")),
    "slots": Case(Status(429, "SlotExceeded", retry_after_seconds=0)),
    "status-400": Case(Status(400, "InvalidArgument"), healed=False),
    "status-403": Case(Status(403, "NoPermission"), healed=False),
    "status-404": Case(Status(404, "NoSuchTable"), healed=False),
    "status-409-modified": Case(Status(409, "DataVersionConflict"), healed=False),
    "status-412-modified": Case(Status(412, "TableModified"), healed=False),
    "redirect": Case(Status(302), healed=False),
    "stall-before": Case(Stall()),
    "stall-before-any-byte": Case(Stall(after_bytes=0)),
    "stall-inside": Case(Stall(after_bytes=17)),
    "stall-briefly": Case(Stall(seconds=0.01, after_bytes=17)),
    "reset-at-0": Case(ResetAfter(0)),
    "reset-at-9": Case(ResetAfter(9)),
    "reset-inside": Case(ResetAfter(11_111), body_only=True),
    "reset-of-the-request": Case(ResetUpload(0)),
    "empty-body": Case(ShortBody(cut_at_bytes=0)),
    "short-at-3": Case(ShortBody(cut_at_bytes=3)),
    "short-at-4": Case(ShortBody(cut_at_bytes=4), body_only=True),
    "short-inside": Case(ShortBody(cut_at_bytes=11_111), body_only=True),
    "short-after-rows": Case(ShortBody(rows=7), body_only=True),
    "short-after-no-rows": Case(ShortBody(rows=0), body_only=True),
    "flip-first-byte": Case(FlipBit(0, 6), body_only=True),
    "flip-inside": Case(FlipBit(5_000, 3), body_only=True),
    "one-row-less": Case(WrongRowCount(-1), healed=False, body_only=True),
    "one-row-more": Case(WrongRowCount(1), healed=False, body_only=True),
    "no-rows": Case(WrongRowCount(-10_000), body_only=True),
    "expired": Case(ExpireSession()),
    "lost-answer": Case(LoseAnswer()),
    "slow": Case(SlowBody(2_000_000)),
}

PHASES = {
    "look-up": ("tunnel_lookup", 1, 1),
    "create": ("create_download", 1, 1),
    "first": ("read_rows", 1, 1),
    "middle": ("read_rows", 5, 1),
    "several": ("read_rows", 2, 3),
    "last": ("read_rows", 1, 1),
}


def possible(phase: str, case: Case) -> bool:
    return not case.body_only or PHASES[phase][0] == "read_rows"


def asks_for_the_last_row(operation: Operation) -> bool:
    first, count = operation.query["rowrange"].strip("()").split(",")
    return int(first) + int(count) == ROWS.num_rows


QUICK_PHASES = {"arrow": {"middle"}, "record": {"several"}}
QUICK_OF_CREATE = {"refuse", "status-500", "status-403", "reset-at-0", "short-at-3", "lost-answer"}
# A stall takes a time-out.
QUICK_STALLS = {("middle", "stall-before", "arrow"), ("middle", "stall-inside", "arrow")}


def is_quick(phase: str, name: str, wire_form: str) -> bool:
    if name.startswith("stall") and name != "stall-briefly":
        return (phase, name, wire_form) in QUICK_STALLS
    return phase in QUICK_PHASES[wire_form] or (wire_form == "arrow" and phase == "create" and name in QUICK_OF_CREATE)


ONE_FAULT = [
    pytest.param(
        phase,
        name,
        wire_form,
        marks=[] if is_quick(phase, name, wire_form) else pytest.mark.slow,
    )
    for wire_form in QUICK_PHASES
    for phase in PHASES
    for name, case in CASES.items()
    if possible(phase, case)
]


@pytest.mark.parametrize(("phase", "name", "wire_form"), ONE_FAULT)
async def test_one_fault(
    connect, make_table, age_tables, local_service: LocalService, phase: str, name: str, wire_form: str
) -> None:
    path = await make_table(COLUMNS, ROWS)
    age_tables()
    case = CASES[name]

    async def read() -> errors.Error | None:
        async with connect(read_timeout_seconds=READ_TIMEOUT_SECONDS) as client:
            return await read_outcome(client, path, ROWS, wire_form=wire_form, **SMALL)

    when = asks_for_the_last_row if phase == "last" else None
    local_service.faults.add(Fault(PHASES[phase][0], case.action, *PHASES[phase][1:], when=when))
    error = await read()
    assert local_service.faults.log, "the fault did not happen"
    if case.healed:
        assert error is None


FOREVER = {
    "refuse": (Refuse(), errors.ConnectionLost),
    "status-500": (Status(500, "InternalServerError"), errors.ServerUnavailable),
    "status-429": (Status(429, "FlowExceeded"), errors.Throttled),
    "status-403": (Status(403, "NoPermission"), errors.AuthorizationError),
    "stall": (Stall(), errors.TransportTimeout),
    "reset": (ResetAfter(0), errors.ConnectionLost),
    "empty-body": (ShortBody(cut_at_bytes=0), errors.DataError),
    "short": (ShortBody(cut_at_bytes=3), errors.DataError),
    "lost-answer": (LoseAnswer(), errors.ConnectionLost),
}
FOREVER_ROWS = {
    "flip": (FlipBit(20), errors.ChecksumError),
    "one-row-less": (WrongRowCount(-1), (errors.RowCountError, errors.UnprovenRowsError)),
    "one-row-more": (WrongRowCount(1), (errors.RowCountError, errors.UnprovenRowsError)),
    "expired": (ExpireSession(), errors.SessionExpired),
}


STAYING = [
    pytest.param(
        operation,
        name,
        wire_form,
        marks=[] if wire_form == "arrow" and operation == "read_rows" else pytest.mark.slow,
    )
    for wire_form in ("arrow", "record")
    for operation in ("tunnel_lookup", "create_download", "read_rows")
    for name in (*FOREVER, *(FOREVER_ROWS if operation == "read_rows" else ()))
    # An answer of rows that is begun cannot be lost; "reset" is the same.
    if (operation, name) != ("read_rows", "lost-answer")
]


@pytest.mark.parametrize(("operation", "name", "wire_form"), STAYING)
async def test_a_fault_that_stays_ends_the_retries(
    connect, make_table, age_tables, local_service: LocalService, operation: str, name: str, wire_form: str
) -> None:
    path = await make_table(COLUMNS, ROWS)
    age_tables()
    action, expected = (FOREVER | FOREVER_ROWS)[name]
    # Only a stall may end as a time-out, however busy the machine is.
    async with connect(retry=HASTY, read_timeout_seconds=0.1 if name == "stall" else 30.0) as client:
        if operation == "tunnel_lookup" and name == "short":
            # An address cut short is an address, too.
            expected = errors.Error
        local_service.faults.add(Fault(operation, action))
        error = await read_outcome(client, path, ROWS, wire_form=wire_form, **SMALL)
        assert isinstance(error, expected)
    local_service.faults.clear()
    async with connect() as client:
        assert await read_outcome(client, path, ROWS, wire_form=wire_form, **SMALL) is None


@pytest.mark.slow
async def test_every_compression_heals(client, make_table, local_service: LocalService) -> None:
    path = await make_table(COLUMNS, ROWS)
    for wire_form in ("arrow", "record"):
        for compression in ("deflate", "zstd", "lz4", "snappy"):
            for action in (
                ShortBody(cut_at_bytes=100, compressed=True),
                ShortBody(cut_at_bytes=100),
                ShortBody(cut_at_bytes=0, compressed=True),
                FlipBit(60),
                FlipBit(500, 7),
                ResetAfter(100),
            ):
                local_service.faults.clear()
                local_service.faults.add(Fault("read_rows", action, 2))
                options = {"wire_form": wire_form, "compression": compression}
                assert await read_outcome(client, path, ROWS, **options, **SMALL) is None, (options, action)
                assert local_service.faults.log.pop().fault.action is action


@pytest.mark.slow
async def test_the_service_asks_to_wait(connect, make_table, local_service: LocalService, caplog) -> None:
    path = await make_table(COLUMNS, ROWS)
    for operation in ("create_download", "read_rows"):
        local_service.faults.add(Fault(operation, Status(429, "FlowExceeded", retry_after_seconds=1), 1))
    async with connect() as client:
        assert await read_outcome(client, path, ROWS, **SMALL) is None
    waits = [record for record in caplog.records if "next in 1.0 s" in record.getMessage()]
    assert len(waits) == 2, caplog.text


async def test_a_wait_beyond_all_patience_is_an_error_at_once(connect, make_table, local_service: LocalService) -> None:
    path = await make_table(COLUMNS, ROWS)
    for status, code in ((429, "FlowExceeded"), (503, "ServiceUnavailable")):
        local_service.faults.add(Fault("read_rows", Status(status, code, retry_after_seconds=86_400), 2))
        async with connect() as client:
            error = await read_outcome(client, path, ROWS, **SMALL)
        assert isinstance(error, errors.ServerError)
        assert error.code == code


async def test_an_error_is_sticky_until_a_seek(connect, make_table, local_service: LocalService) -> None:
    path = await make_table(COLUMNS, ROWS, "ds=1")
    async with connect(retry=HASTY) as client:
        local_service.faults.add(Fault("read_rows", Status(403, "NoPermission"), 4, 1000))
        async with client.open_reader(path, **SMALL) as reader:
            ids: list[int] = []
            with pytest.raises(errors.AuthorizationError) as first:
                async for batch in reader:
                    ids += batch.column("id").to_pylist()
            assert ids == list(range(len(ids)))
            assert 0 < len(ids) < ROWS.num_rows
            assert reader.position == len(ids)
            assert first.value.session
            assert (first.value.table, first.value.partition) == ("demo.t0", "ds=1")
            assert first.value.rows is not None
            assert len(ids) in range(*map(int, first.value.rows.strip("[)").split(", ")))
            assert str(first.value).endswith(f"request id {first.value.request_id})")
            local_service.faults.clear()
            for _ in range(3):
                with pytest.raises(errors.AuthorizationError):
                    await reader.read_batch()
                with pytest.raises(errors.AuthorizationError):
                    await reader.read(1)
                assert reader.position == len(ids)
            await reader.seek(reader.position)
            rest = [number async for batch in reader for number in batch.column("id").to_pylist()]
    assert ids + rest == list(range(ROWS.num_rows))


async def test_a_read_never_comes_short_before_an_error(connect, make_table, local_service: LocalService) -> None:
    """Programs take fewer records than asked for as the end; the rows before the error are there for smaller reads."""
    path = await make_table(COLUMNS, ROWS)
    async with connect(retry=HASTY) as client:
        local_service.faults.add(Fault("read_rows", Status(403, "NoPermission"), 8, 1000))
        async with client.open_reader(path, **SMALL) as reader:
            ids: list[int] = []
            for _ in range(2):
                with pytest.raises(errors.AuthorizationError):
                    while True:
                        records = await reader.read(500)
                        assert len(records) == 500
                        ids += records["id"].tolist()
            assert reader.position == len(ids) == 1000
            with pytest.raises(errors.AuthorizationError):
                while True:
                    ids += [row[0] for row in await reader.read(1)]
            assert reader.position == len(ids) > 1000
            with pytest.raises(errors.AuthorizationError):
                await reader.read(1)
            local_service.faults.clear()
            await reader.seek(7)
            ids[7:] = (await reader.read(ROWS.num_rows))["id"].tolist()
    assert ids == list(range(ROWS.num_rows))


async def test_an_expired_session_of_a_changed_table_is_refused(
    client, make_table, age_tables, local_service: LocalService
) -> None:
    for change in ("more rows", "the same number of rows"):
        path = await make_table(COLUMNS, ROWS)
        age_tables()
        async with client.open_reader(path, **SMALL) as reader:
            first = await reader.read_batch()
            async with client.open_writer(path, overwrite=change != "more rows") as writer:
                await writer.write_batch(numbered(2000, start=5000))
            local_service.faults.add(Fault("read_rows", ExpireSession(), 1))
            assert first.column("id").to_pylist() == list(range(first.num_rows))
            seen = first.num_rows
            with pytest.raises(errors.TableModified, match="open a new reader") as raised:
                async for batch in reader:
                    assert batch.column("id").to_pylist() == list(range(seen, seen + batch.num_rows))
                    seen += batch.num_rows
            assert raised.value.session
        local_service.faults.clear()


async def test_a_change_in_the_second_of_the_session_is_seen(client, make_table, local_service: LocalService) -> None:
    """The service tells times in whole seconds: what it cannot tell apart counts as changed."""
    path = await make_table(COLUMNS, ROWS)
    async with client.open_reader(path, **SMALL) as reader:
        await reader.read_batch()
        async with client.open_writer(path, overwrite=True) as writer:
            await writer.write_batch(numbered(2000, start=5000))
        local_service.faults.add(Fault("read_rows", ExpireSession(), 1))
        with pytest.raises(errors.TableModified):
            async for batch in reader:
                assert batch.column("id")[0].as_py() < 2000


async def test_an_unexpected_exception_in_a_download_is_raised_not_awaited_for_ever(
    client, make_table, monkeypatch
) -> None:
    path = await make_table(COLUMNS, ROWS)

    def broken(*_: object) -> None:
        raise RuntimeError("not foreseen")

    with anyio.fail_after(HANG_SECONDS):
        async with client.open_reader(path, **SMALL) as reader:
            await reader.read_batch()
            monkeypatch.setattr("aiopaiio.columns.ColumnPlan.arrange", broken)
            for _ in range(2):
                with pytest.raises(RuntimeError, match="not foreseen"):
                    while await reader.read_batch():
                        pass


async def test_the_reader_is_closed_while_another_task_reads(client, make_table, local_service: LocalService) -> None:
    path = await make_table(COLUMNS, ROWS)
    local_service.faults.add(Fault("read_rows", Stall(after_bytes=0)))
    with anyio.fail_after(HANG_SECONDS):
        reader = await client.open_reader(path)
        reading = asyncio.create_task(reader.read_batch())
        while not local_service.faults.log:
            await asyncio.sleep(0)
        await reader.aclose()
        with pytest.raises(errors.ClosedError):
            await reading


async def test_the_client_is_closed_while_readers_are_open(connect, make_table, local_service: LocalService) -> None:
    path = await make_table(COLUMNS, ROWS)
    with anyio.fail_after(HANG_SECONDS):
        client = connect()
        local_service.faults.add(Fault("read_rows", Stall(after_bytes=0), 2, 1000))
        async with client.open_reader(path, **SMALL) as reader:
            assert await reader.read_batch()
            reading = asyncio.create_task(reader.read(ROWS.num_rows))
            while len(local_service.faults.log) < 2:
                await asyncio.sleep(0)
            await client.aclose()
            with pytest.raises(errors.ClosedError):
                await reading


async def test_fewer_slots_than_downloads_with_a_head_that_lost_its_own(tmp_path, connect, make_table) -> None:
    """Later row ranges must not keep all slots while the first one, cut off, needs one to go on."""
    from aiopaiio.local import Faults, Limits, serve

    rows = numbered(3000, width=2000)
    path = await make_table(COLUMNS, rows)
    faults = Faults([Fault("read_rows", ResetAfter(50_000), 1)])
    async with serve(tmp_path / "root", faults=faults, limits=Limits(slots=2)) as service:
        keys = {"endpoint": service.endpoint, "access_id": service.access_id, "access_key": service.access_key}
        async with connect(**keys) as client:
            options = {"concurrency": 3, "capacity_rows": 30, "memory_limit_bytes": 16 << 20}
            error = await read_outcome(client, path, rows, **options)
    assert error is None


@pytest.mark.slow
def test_huge_rows_stay_within_the_memory_limit(tmp_path) -> None:
    """48 rows of 8 MiB with a limit of 64 MiB: client and service each in a process of its own."""
    program = """
import asyncio, sys, resource
import pyarrow as pa
from aiopaiio import Client

async def main():
    async with Client(sys.argv[1], project="demo", memory_limit_bytes=64 << 20) as client:
        await client.execute_sql("create table if not exists t (a binary)")
        path = "odps://demo/tables/t"
        if sys.argv[2] == "write":
            async with client.open_writer(path) as writer:
                for number in range(48):
                    await writer.write([(bytes([number]) * (8 << 20),)])
            return
        count = 0
        pool = pa.default_memory_pool()
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        async with client.open_reader(path, wire_form=sys.argv[3]) as reader:
            async for batch in reader:
                for value in batch.column(0):
                    assert value.as_buffer().size == 8 << 20
                    assert value.as_buffer()[0] == count
                    count += 1
                    await asyncio.sleep(0.01)  # slower than the service
        assert count == 48
        print(pool.max_memory(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before)

asyncio.run(main())
"""
    environment = os.environ | {"PYTHONPATH": str(Path(aiopaiio.__file__).parents[1])}
    config = tmp_path / "config.ini"
    with subprocess.Popen(
        [sys.executable, "-m", "aiopaiio.local", "--root", tmp_path / "root", "--config-file", config],
        stdout=subprocess.PIPE,
        env=environment,
    ) as service:
        try:
            assert service.stdout is not None
            service.stdout.readline()
            service.stdout.readline()

            def run(*arguments: str) -> str:
                command = [sys.executable, "-c", program, str(config), *arguments]
                return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout

            run("write")
            for wire_form in ("arrow", "record"):
                pool_bytes, grown_bytes = map(int, run("read", wire_form).split())
                print(f"{wire_form}: {pool_bytes >> 20} MiB in Arrow's pool, {grown_bytes >> 20} MiB in all")
                # What was handed out and what is being decoded come on top of what waits.
                assert grown_bytes < 2 * (64 << 20)
        finally:
            service.kill()
