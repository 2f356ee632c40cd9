"""Every fault of the engine in every phase of a write: the rows once, or a typed error and none of them."""

from __future__ import annotations

import os

import anyio
import pytest

from aiopaiio import errors
from aiopaiio.local import Link, LocalService, serve
from aiopaiio.local.faults import (
    Action,
    ExpireSession,
    Fault,
    LoseAnswer,
    Refuse,
    ResetAfter,
    ResetUpload,
    ShortBody,
    SlowBody,
    Stall,
    Status,
)

from .conftest import HASTY
from .expectations import COLUMNS, HANG_SECONDS, held_rows, numbered, write_outcome

BEFORE = numbered(3, start=-3)
ROWS = numbered(400)
SMALL = {"block_bytes": 4000, "concurrency": 3}
READ_TIMEOUT_SECONDS = 0.5

# Action, and whether a single occurrence must not show at all.
CASES: dict[str, tuple[Action, bool]] = {
    "refuse": (Refuse(), True),
    "status-500": (Status(500, "InternalServerError"), True),
    "status-502-of-a-proxy": (Status(502), True),
    "status-503-come-back-now": (Status(503, "ServiceUnavailable", retry_after_seconds=0), True),
    "status-408": (Status(408, "RequestTimeOut"), True),
    "status-429": (Status(429, "FlowExceeded"), True),
    "status-400": (Status(400, "InvalidArgument"), False),
    "status-403": (Status(403, "NoPermission"), False),
    "status-409": (Status(409, "StatusConflict"), False),
    "redirect": (Status(302), False),
    "stall-before": (Stall(), True),
    "stall-briefly": (Stall(seconds=0.01), True),
    "stall-the-answer": (Stall(after_bytes=0), True),
    "reset-the-answer": (ResetAfter(0), True),
    "reset-inside-the-answer": (ResetAfter(5), True),
    "reset-the-request": (ResetUpload(0), True),
    "reset-inside-the-request": (ResetUpload(1000), True),
    "empty-answer": (ShortBody(cut_at_bytes=0), True),
    "short-answer": (ShortBody(cut_at_bytes=3), True),
    "expired": (ExpireSession(), False),
    "lost-answer": (LoseAnswer(), True),
    "slow-answer": (SlowBody(100_000), True),
}

PHASES = {
    "look-up": ("tunnel_lookup", 1, 1),
    "create": ("create_upload", 1, 1),
    "first-block": ("put_block", 1, 1),
    "middle-block": ("put_block", 4, 1),
    "several-blocks": ("put_block", 2, 3),
    "list": ("reload_upload", 1, 1),
    "commit": ("commit_upload", 1, 1),
}


async def check(client, path: str, error: errors.Error | None) -> None:
    """The table holds the rows once, or - only after an error - not at all."""
    rows = await held_rows(client, path)
    added = [row for row in rows if row["id"] >= 0]
    assert rows[:3] == BEFORE.to_pylist()
    if isinstance(error, errors.CommitError) and "not known" in str(error):
        assert added in ([], ROWS.to_pylist())
    elif error is not None:
        assert added == [], f"rows became visible in spite of {error!r}"
    else:
        assert added == ROWS.to_pylist()


QUICK_PHASES = {"middle-block", "commit"}
# A stall takes a time-out.
STALLS = {"stall-before", "stall-the-answer"}
QUICK_STALLS = {("middle-block", "stall-before"), ("commit", "stall-the-answer")}
ONE_FAULT = [
    pytest.param(
        phase,
        name,
        marks=[]
        if (phase, name) in QUICK_STALLS or (phase in QUICK_PHASES and name not in STALLS)
        else pytest.mark.slow,
    )
    for phase in PHASES
    for name in CASES
]


@pytest.mark.parametrize(("phase", "name"), ONE_FAULT)
async def test_one_fault(connect, client, make_table, local_service: LocalService, phase: str, name: str) -> None:
    path = await make_table(COLUMNS, BEFORE)
    operation, number, times = PHASES[phase]
    action, healed = CASES[name]
    local_service.faults.add(Fault(operation, action, number, times))
    async with connect(read_timeout_seconds=READ_TIMEOUT_SECONDS) as faulty:
        error = await write_outcome(faulty, path, ROWS, **SMALL)
    assert local_service.faults.log or operation == "tunnel_lookup", "the fault did not happen"
    local_service.faults.clear()
    await check(client, path, error)
    if healed:
        assert error is None
    # The slice is free, whatever happened.
    assert await write_outcome(client, path, numbered(1, start=10**6)) is None


@pytest.mark.slow
@pytest.mark.parametrize("operation", ["tunnel_lookup", "create_upload", "put_block", "reload_upload", "commit_upload"])
@pytest.mark.parametrize("name", CASES)
async def test_a_fault_that_stays(connect, client, make_table, local_service, operation: str, name: str) -> None:
    path = await make_table(COLUMNS, BEFORE)
    action, _ = CASES[name]
    local_service.faults.add(Fault(operation, action))
    async with connect(retry=HASTY, read_timeout_seconds=0.2) as faulty:
        error = await write_outcome(faulty, path, ROWS, **SMALL)
    local_service.faults.clear()
    await check(client, path, error)
    assert await write_outcome(client, path, numbered(1, start=10**6)) is None


@pytest.mark.parametrize("then", [Refuse(), ExpireSession(), Status(403, "NoPermission"), Status(500), Stall()])
async def test_a_lost_commit_whose_state_cannot_be_asked_is_in_doubt(
    connect, client, make_table, local_service: LocalService, then: Action
) -> None:
    path = await make_table(COLUMNS, BEFORE)
    # Only a stall may end as a time-out, and nothing before it, however busy the machine is.
    seconds = 1.0 if isinstance(then, Stall) else 30.0
    async with connect(retry=HASTY, read_timeout_seconds=seconds) as faulty:
        local_service.faults.add(Fault("commit_upload", LoseAnswer(), 1))
        local_service.faults.add(Fault("commit_upload", Refuse(), 2, 1000))
        local_service.faults.add(Fault("reload_upload", then, 2, 1000))
        error = await write_outcome(faulty, path, ROWS, **SMALL)
    assert isinstance(error, errors.CommitError)
    assert "not known" in str(error)
    local_service.faults.clear()
    added = [row for row in await held_rows(client, path) if row["id"] >= 0]
    assert added == ROWS.to_pylist()


async def test_a_lost_answer_to_the_commit_of_a_shared_upload(client, make_table, local_service: LocalService) -> None:
    path = await make_table(COLUMNS, BEFORE)
    shared = await client.create_upload(path, 2)
    for slice_id in range(2):
        async with client.open_writer(path, slice_id, upload=shared) as writer:
            await writer.write_batch(ROWS.slice(200 * slice_id, 200))
    local_service.faults.add(Fault("commit_upload", LoseAnswer(), 1))
    await client.commit_upload(shared)
    await client.commit_upload(shared)  # once more does no harm
    await check(client, path, None)


@pytest.mark.slow
async def test_every_form_and_compression_heals(client, make_table, local_service: LocalService) -> None:
    for wire_form in ("arrow", "record"):
        for compression in (None, "deflate", "zstd", "lz4", "snappy"):
            path = await make_table(COLUMNS, BEFORE)
            for number, action in enumerate((LoseAnswer(), ResetUpload(1500), Status(503), Refuse()), 1):
                local_service.faults.add(Fault("put_block", action, number))
            error = await write_outcome(client, path, ROWS, wire_form=wire_form, compression=compression, **SMALL)
            assert error is None
            local_service.faults.clear()
            await check(client, path, None)


async def test_an_overwrite_whose_commit_is_lost_replaces_once(client, make_table, local_service: LocalService) -> None:
    path = await make_table(COLUMNS, BEFORE)
    local_service.faults.add(Fault("commit_upload", LoseAnswer(), 1))
    assert await write_outcome(client, path, ROWS, overwrite=True) is None
    assert await held_rows(client, path) == ROWS.to_pylist()


@pytest.mark.slow
async def test_the_service_asks_to_wait(connect, make_table, local_service: LocalService, caplog) -> None:
    path = await make_table(COLUMNS)
    for operation in ("create_upload", "put_block", "commit_upload"):
        local_service.faults.add(Fault(operation, Status(429, "FlowExceeded", retry_after_seconds=1), 1))
    async with connect() as client:
        assert await write_outcome(client, path, ROWS) is None
    waits = [record for record in caplog.records if "next in 1.0 s" in record.getMessage()]
    assert len(waits) == 3, caplog.text


async def test_an_upload_that_fails_is_raised_by_the_next_write_and_by_close(
    connect, client, make_table, local_service: LocalService
) -> None:
    path = await make_table(COLUMNS, BEFORE)
    async with connect(retry=HASTY) as faulty:
        writer = await faulty.open_writer(path, block_bytes=1000, concurrency=1)
        local_service.faults.add(Fault("put_block", Status(403, "NoPermission"), 3))
        with anyio.fail_after(HANG_SECONDS):
            with pytest.raises(errors.AuthorizationError):
                while True:
                    await writer.write_batch(numbered(20_000))
            # Whoever swallows the error and closes gets it again: rows are missing.
            with pytest.raises(errors.AuthorizationError):
                await writer.close()
    local_service.faults.clear()
    await check(client, path, errors.Error())


async def test_a_service_that_does_not_read_the_request(connect, make_table, local_service: LocalService) -> None:
    """A block larger than all socket buffers, and nobody takes it: a time-out, not a hang."""
    path = await make_table("a binary")
    local_service.faults.add(Fault("put_block", Stall()))
    async with connect(retry=HASTY, read_timeout_seconds=0.5) as client:
        with anyio.fail_after(HANG_SECONDS), pytest.raises(errors.TransportTimeout):
            async with client.open_writer(path, block_bytes=64 << 20) as writer:
                await writer.write([(os.urandom(4 << 20),) for _ in range(6)])


@pytest.mark.slow
async def test_a_slow_line_is_not_a_time_out(tmp_path, connect, make_table) -> None:
    """The time-out is for silence; a block that takes longer than it to send is no silence."""
    path = await make_table("a binary")
    async with serve(tmp_path / "root", link=Link(stream_bytes_per_second=16 << 20)) as service:
        keys = {"endpoint": service.endpoint, "access_id": service.access_id, "access_key": service.access_key}
        async with connect(**keys, retry=HASTY, read_timeout_seconds=2.0) as client:
            rows = [(bytes([number]) * (1 << 20),) for number in range(40)]
            with anyio.fail_after(HANG_SECONDS):
                async with client.open_writer(path, concurrency=1, block_bytes=64 << 20) as writer:
                    await writer.write(rows)
                async with client.open_reader(path) as reader:
                    assert list(await reader.read(100)) == rows
