"""``kill -9`` of the service while a client commits: nothing half visible, nothing acknowledged lost."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import anyio
import pytest

import aiopaiio
from aiopaiio import Client, RetryPolicy, errors

from .expectations import COLUMNS, HANG_SECONDS, held_rows, numbered, read_outcome

PROGRAM = Path(__file__).with_name("serving_process.py")
RETRY = RetryPolicy(outage_seconds=15.0, throttle_seconds=15.0, first_wait_seconds=0.01, longest_wait_seconds=0.05)
ROWS = 60
PATH = "odps://demo/tables/t"

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


@dataclass
class KillableService:
    """A service on one root and one port, which can be killed and started again."""

    starter: subprocess.Popen[str]
    pid: int = 0
    port: int = 0

    async def start(self) -> None:
        assert self.starter.stdin is not None
        assert self.starter.stdout is not None
        self.starter.stdin.write("\n")
        self.starter.stdin.flush()
        answer = await asyncio.to_thread(self.starter.stdout.readline)
        self.pid, self.port = map(int, answer.split())

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)

    def client(self, **options: object) -> Client:
        keys = {"access_id": "me", "access_key": "secret", "project": "demo", "retry": RETRY}
        return Client(endpoint=f"http://127.0.0.1:{self.port}/api", **(keys | options))  # type: ignore[arg-type]


@pytest.fixture
def killable(tmp_path: Path) -> Iterator[KillableService]:
    environment = os.environ | {"PYTHONPATH": str(Path(aiopaiio.__file__).parents[1])}
    command = [sys.executable, str(PROGRAM), str(tmp_path / "root")]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment, start_new_session=True
    ) as starter:
        service = KillableService(starter)
        try:
            yield service
        finally:
            # Its forked services end with it: they share its group.
            os.killpg(starter.pid, signal.SIGKILL)


async def write(client: Client, number: int, closing: asyncio.Event) -> str:
    """Append batch ``number`` in several blocks: "success", "unknown", or "nothing" for an error that promises it.

    Sets ``closing`` when the commit is next.
    """
    try:
        async with client.open_writer(PATH, block_bytes=1500) as writer:
            for start in range(0, ROWS, 20):
                await writer.write_batch(numbered(20, start=number * ROWS + start))
            closing.set()
    except errors.CommitError as error:
        return "unknown" if "not known" in str(error) else "nothing"
    except errors.Error:
        return "nothing"
    finally:
        closing.set()
    return "success"


async def check(client: Client, outcomes: list[str]) -> None:
    """Each batch is there as a whole or not at all, once, and as its writer was told."""
    rows = await held_rows(client, PATH)
    counts = Counter(row["id"] // ROWS for row in rows)
    assert set(counts.values()) <= {ROWS}, "a batch is half visible, or visible twice"
    expected = [row for number in counts for row in numbered(ROWS, start=number * ROWS).to_pylist()]
    assert rows == sorted(expected, key=lambda row: row["id"])
    for number, outcome in enumerate(outcomes):
        assert outcome == "unknown" or (number in counts) == (outcome == "success"), (number, outcome)


async def kill_at_random_moments(service: KillableService, kills: int, seed: int, *, patient: bool) -> None:
    moments = random.Random(seed)
    retry = RETRY if patient else RetryPolicy(0.0, 0.0, 0.001, 0.001)
    await service.start()
    async with service.client() as steady:
        await steady.execute_sql(f"create table t ({COLUMNS})")
        outcomes = [await write(steady, 0, asyncio.Event())]
        # How long a write takes from its beginning, and from its closing.
        seconds = [0.0, 0.0]
        closing = asyncio.Event()
        began = time.monotonic()
        writing = asyncio.create_task(write(steady, 1, closing))
        await closing.wait()
        seconds[1] -= time.monotonic()
        outcomes.append(await writing)
        seconds[1] += time.monotonic()
        seconds[0] = time.monotonic() - began
        for number in range(2, kills + 2):
            async with service.client(retry=retry) as client:
                closing = asyncio.Event()
                writing = asyncio.create_task(write(client, number, closing))
                if number % 2:
                    await closing.wait()
                # The moment is the point: in or soon after a write, or in every other one its commit. After a restart
                # all is slower than it was measured.
                await asyncio.sleep(moments.uniform(0, 3 * seconds[number % 2]))
                service.kill()
                await service.start()
                with anyio.fail_after(2 * HANG_SECONDS):
                    outcomes.append(await writing)
            if number % 5 == 0 or number == kills + 1:
                await check(steady, outcomes)
    print(f"seed {seed}: {kills} kills of the service, {dict(Counter(outcomes[2:]))}")
    if patient:
        assert set(outcomes) == {"success"}, "the retries did not outlive a restart"


@pytest.mark.parametrize("patient", [True, False])
async def test_a_few_kills_of_the_service(killable: KillableService, seed: int, patient: bool) -> None:
    await kill_at_random_moments(killable, 4, seed, patient=patient)


@pytest.mark.slow
@pytest.mark.parametrize("patient", [True, False])
async def test_many_kills_of_the_service(killable: KillableService, seed: int, patient: bool) -> None:
    await kill_at_random_moments(killable, 60, seed + 1, patient=patient)


async def test_a_read_goes_on_after_a_restart(killable: KillableService) -> None:
    rows = numbered(30_000)
    await killable.start()
    async with killable.client() as client:
        await client.execute_sql(f"create table t ({COLUMNS})")
        async with client.open_writer(PATH) as writer:
            await writer.write_batch(rows)
        async with client.open_reader(PATH, memory_limit_bytes=400_000, concurrency=2) as reader:
            ids = (await reader.read(100))["id"].tolist()
            for _ in range(3):
                killable.kill()
                await killable.start()
                ids += (await reader.read(9000))["id"].tolist()
            ids += (await reader.read(9000))["id"].tolist()
        assert ids == list(range(30_000))
        # Connections of the pool that the dead service left behind do not harm the next statement.
        killable.kill()
        await killable.start()
        await client.execute_sql("create table u (a bigint)")
        assert await read_outcome(client, PATH, rows) is None


async def test_a_service_that_does_not_come_back(killable: KillableService) -> None:
    await killable.start()
    hasty = RetryPolicy(0.2, 0.2, 0.01, 0.05)
    async with killable.client(retry=hasty) as client:
        await client.execute_sql(f"create table t ({COLUMNS})")
        writer = await client.open_writer(PATH)
        await writer.write_batch(numbered(10))
        killable.kill()
        with anyio.fail_after(HANG_SECONDS):
            with pytest.raises(errors.TransportError):
                await writer.close()
            with pytest.raises(errors.ConnectFailed, match="cannot connect"):
                await client.open_reader(PATH)
        await killable.start()
        assert await held_rows(client, PATH) == []
