"""Writers side by side: one slice takes one writer, and what is half written is never seen."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pickle
import random
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import aiopaiio
from aiopaiio import Client, errors
from aiopaiio.local import LocalService
from aiopaiio.local.faults import Fault, Status

from .conftest import HASTY
from .expectations import COLUMNS, held_rows, numbered

PROGRAM = Path(__file__).with_name("writing_process.py")
ROWS = numbered(300)


class WritingProcess:
    """A :mod:`writing_process`; ``line`` waits for what it says next."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    async def line(self) -> str:
        assert self.process.stdout is not None
        return (await asyncio.to_thread(self.process.stdout.readline)).strip()

    def go_on(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


@pytest.fixture
def start_writer(local_service: LocalService, tmp_path: Path) -> Iterator[Callable[..., WritingProcess]]:
    """Start writers as processes; ``elsewhere`` gives them locks of their own, as another host has."""
    config = local_service.write_config(tmp_path / "config.ini")
    with contextlib.ExitStack() as stack:

        def start(path: str, slice_id: int, *steps: str, elsewhere: bool = False) -> WritingProcess:
            environment = os.environ | {"PYTHONPATH": str(Path(aiopaiio.__file__).parents[1])}
            if elsewhere:
                folder = tmp_path / "elsewhere"
                folder.mkdir(exist_ok=True)
                environment |= {"XDG_RUNTIME_DIR": str(folder), "TMPDIR": str(folder)}
            process = stack.enter_context(
                subprocess.Popen(
                    [sys.executable, str(PROGRAM), str(config), path, str(slice_id), *steps],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                    env=environment,
                )
            )
            stack.callback(process.kill)
            return WritingProcess(process)

        yield start


async def test_two_in_one_process(client, make_table, connect) -> None:
    path = await make_table(COLUMNS)
    async with connect() as other, client.open_writer(path, 1) as writer:
        for opener in (client, other):
            with pytest.raises(errors.SliceConflictError, match=r"slice 1 .*slice_id of its own"):
                await opener.open_writer(path, 1)
        async with other.open_writer(path, 2) as beside:
            await beside.write_batch(ROWS.slice(0, 100))
        await writer.write_batch(ROWS.slice(100))
    assert await held_rows(client, path) == ROWS.to_pylist()


async def test_two_in_two_processes(client, make_table, start_writer) -> None:
    path = await make_table(COLUMNS)
    first = start_writer(path, 0, "open", "write", "0", "100", "wait", "close")
    assert await first.line() == "done open"
    second = start_writer(path, 0, "open", "write", "100", "100", "close")
    assert (await second.line()).startswith("SliceConflictError: another writer on this host is writing slice 0")
    with pytest.raises(errors.SliceConflictError):
        await client.open_writer(path, 0)
    first.go_on()
    assert [await first.line() for _ in range(3)] == ["done write", "done wait", "done close"]
    async with client.open_writer(path, 0) as writer:
        await writer.write_batch(ROWS.slice(100))
    assert await held_rows(client, path) == ROWS.to_pylist()


async def test_two_in_a_shared_upload(client, make_table, connect, start_writer, tmp_path) -> None:
    path = await make_table(COLUMNS)
    shared = await client.create_upload(path, 2)
    file = tmp_path / "shared"
    file.write_bytes(pickle.dumps(shared))
    async with client.open_writer(path, 0, upload=shared) as writer:
        await writer.write_batch(ROWS.slice(0, 100))
        async with connect() as other:
            with pytest.raises(errors.SliceConflictError):
                await other.open_writer(path, 0, upload=shared)
        other_host = start_writer(path, 0, "open-shared", str(file), elsewhere=True)
        assert (await other_host.line()).startswith("SliceConflictError: slice 0 of this shared upload is written")
        # The slice beside is free.
        beside = start_writer(path, 1, "open-shared", str(file), "write", "100", "200", "close")
        assert [await beside.line() for _ in range(3)] == ["done open-shared", "done write", "done close"]
        with pytest.raises(errors.CommitError, match=r"slices \[0\] of 2"):
            await client.commit_upload(shared)
    # Closed is taken, too.
    with pytest.raises(errors.SliceConflictError, match="was written"):
        await client.open_writer(path, 0, upload=shared)
    assert await held_rows(client, path) == []
    await client.commit_upload(shared)
    assert await held_rows(client, path) == ROWS.to_pylist()


class NoLock:
    """In place of the lock: as if every writer were on a host of its own."""

    def __init__(self, *_: str, slice_id: int) -> None: ...

    def acquire(self) -> None: ...

    def release(self) -> None: ...


@pytest.mark.parametrize("slice_count", [1, 3, 1000])
async def test_claims_race_in_a_shared_upload(client, make_table, monkeypatch, seed: int, slice_count: int) -> None:
    """Without a lock between them at most one of several writers goes on, and nothing of two is ever committed."""
    monkeypatch.setattr("aiopaiio.client.SliceLock", NoLock)
    path = await make_table(COLUMNS)
    random.seed(seed)  # among 1000 slices the choices are few
    both = 0
    for _ in range(15):
        shared = await client.create_upload(path, slice_count)

        async def write(start: int, shared: object = shared) -> None:
            async with client.open_writer(path, 0, upload=shared) as writer:
                await writer.write_batch(numbered(10, start=start))

        results = await asyncio.gather(write(0), write(10), return_exceptions=True)
        both += results == [None, None]
        assert all(result is None or isinstance(result, errors.SliceConflictError) for result in results)
    assert not both


async def test_a_foreign_block_is_noticed_when_closing(client, make_table, monkeypatch) -> None:
    monkeypatch.setattr("aiopaiio.client.SliceLock", NoLock)
    path = await make_table(COLUMNS)
    shared = await client.create_upload(path, 2)
    writer = await client.open_writer(path, 1, upload=shared)
    await writer.write_batch(ROWS)
    with monkeypatch.context() as patch:
        # One that asked before the first had claimed.
        patch.setattr("aiopaiio.shared_upload.SharedUpload.check_unclaimed", lambda *_: None)
        other = await client.open_writer(path, 1, upload=shared)
    for each in (writer, other):
        with pytest.raises(errors.SliceConflictError, match="make a new one"):
            await each.close()
    with pytest.raises(errors.CommitError):
        await client.commit_upload(shared)
    assert await held_rows(client, path) == []


async def test_slices_of_a_shared_upload_are_all_or_nothing(client, make_table, connect, local_service) -> None:
    path = await make_table(COLUMNS)
    shared = await client.create_upload(path, 3)

    async def write(slice_id: int) -> None:
        async with connect() as other, other.open_writer(path, slice_id, upload=shared, block_bytes=2000) as writer:
            await writer.write_batch(ROWS.slice(100 * slice_id, 100))

    await asyncio.gather(write(0), write(2))
    with pytest.raises(errors.CommitError, match=r"slices \[1\] of 3 are not closed"):
        await client.commit_upload(shared)
    aborted = await client.open_writer(path, 1, upload=shared)
    await aborted.write_batch(ROWS)
    await aborted.abort()
    with pytest.raises(errors.CommitError, match=r"slices \[1\]"):
        await client.commit_upload(shared)
    with pytest.raises(errors.SliceConflictError, match="after a crash make a new shared upload"):
        await client.open_writer(path, 1, upload=shared)
    assert await held_rows(client, path) == []

    shared = await client.create_upload(path, 3)
    await asyncio.gather(*(write(slice_id) for slice_id in range(3)))
    assert await held_rows(client, path) == []
    await asyncio.gather(*(client.commit_upload(shared) for _ in range(3)))
    assert await held_rows(client, path) == ROWS.to_pylist()


async def test_a_killed_writer_leaves_nothing_and_frees_its_slice(client, make_table, start_writer) -> None:
    path = await make_table(COLUMNS)
    writer = start_writer(path, 0, "open", "write", "0", "20000", "wait", "close")
    assert await writer.line() == "done open"
    assert await writer.line() == "done write"
    with pytest.raises(errors.SliceConflictError):
        await client.open_writer(path, 0)
    writer.kill()
    assert await held_rows(client, path) == []
    async with client.open_writer(path, 0) as again:
        await again.write_batch(ROWS)
    assert await held_rows(client, path) == ROWS.to_pylist()


async def test_the_lock_is_free_after_every_way_out(client, make_table, connect, local_service: LocalService) -> None:
    path = await make_table(COLUMNS)

    async def by_close(other: Client) -> None:
        await (await other.open_writer(path)).close()

    async def by_abort(other: Client) -> None:
        await (await other.open_writer(path)).abort()

    async def by_exception(other: Client) -> None:
        with pytest.raises(KeyError):
            async with other.open_writer(path):
                raise KeyError

    async def by_a_failed_open(other: Client) -> None:
        local_service.faults.add(Fault("create_upload", Status(403, "NoPermission"), 1))
        with pytest.raises(errors.AuthorizationError):
            await other.open_writer(path)

    async def by_a_failed_commit(other: Client) -> None:
        local_service.faults.add(Fault("commit_upload", Status(403, "NoPermission"), 1))
        with pytest.raises(errors.AuthorizationError):
            async with other.open_writer(path) as writer:
                await writer.write_batch(ROWS)

    async def by_a_wrong_form(other: Client) -> None:
        await other.execute_sql("create table months (a interval_year_month)")
        with pytest.raises(errors.ColumnError):
            await other.open_writer("odps://demo/tables/months", wire_form="arrow")
        await (await other.open_writer("odps://demo/tables/months")).abort()

    for way_out in (by_close, by_abort, by_exception, by_a_failed_open, by_a_failed_commit, by_a_wrong_form):
        async with connect(retry=HASTY) as other:
            await way_out(other)
        local_service.faults.clear()
        async with client.open_writer(path):
            pass
    assert await held_rows(client, path) == []
