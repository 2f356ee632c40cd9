"""``kill -9`` of a process that commits: all or nothing of every commit, and nothing lost that was acknowledged."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pytest
from crash_writer import BLOCKS, LATEST, LOG, ROWS
from store_rows import child_environment

from aiopaiio.local.storage import Store
from aiopaiio.schema import Column, TableSchema

SCHEMA = TableSchema((Column("number", "bigint"), Column("block", "bigint")))


@contextmanager
def writers(root: Path) -> Iterator[subprocess.Popen[str]]:
    program = Path(__file__).with_name("crash_writer.py")
    command = [sys.executable, str(program), str(root)]
    pipe, environment = subprocess.PIPE, child_environment()
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=environment) as process:
        yield process
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(30) == 0


def commits_until_killed(process: subprocess.Popen[str], first: int, delay_seconds: float) -> int:
    """Let a writer run from ``first``, kill it that long after its first acknowledgement; returns the last it gave."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(f"{first} 1000000\n")
    process.stdin.flush()
    child, done, killer = 0, first - 1, None
    for line in process.stdout:
        word, _, number = line.strip().partition(" ")
        if word == "pid":
            child = int(number)
        elif word == "done":
            done = int(number)
            if killer is None:
                # The moment is the point here, not a synchronisation: anywhere in a commit.
                killer = threading.Timer(delay_seconds, os.kill, (child, signal.SIGKILL))
                killer.start()
        elif word == "ended":
            break
    assert killer is not None
    killer.join()
    return done


def table_of(store: Store, name) -> pa.Table:
    session = store.create_download(name)
    schema = pa.schema([("number", pa.int64()), ("block", pa.int64())])
    batches = [batch.cast(schema) for batch in store.read_rows(session.id, 0, session.row_count)]
    table = pa.Table.from_batches(batches, schema=schema)
    assert table.num_rows == session.row_count == store.get_table(name).row_count
    return table


def check(root: Path, acknowledged: int) -> int:
    """Check everything after a crash; returns the number of the last commit that is visible."""
    with Store(root) as store:
        log, latest = table_of(store, LOG), table_of(store, LATEST)
        numbers = log["number"].to_pylist()
        last = max(numbers)
        assert last in (acknowledged, acknowledged + 1), "an acknowledged commit is lost, or one came from nowhere"
        assert Counter(numbers) == dict.fromkeys(range(last + 1), BLOCKS * ROWS)
        assert log["block"].to_pylist() == [block for block in range(BLOCKS) for _ in range(ROWS)] * (last + 1)
        (visible,) = set(latest["number"].to_pylist())
        assert visible in (acknowledged, acknowledged + 1)
        assert visible <= last
        assert latest.num_rows == BLOCKS * ROWS
        assert store.collect_garbage() == 0, "opening the store left something to collect"
    return last


@pytest.mark.parametrize(
    "kills", [pytest.param(3, id="quick"), pytest.param(60, id="thorough", marks=pytest.mark.slow)]
)
def test_killed_between_any_two_steps(tmp_path: Path, kills: int) -> None:
    with Store(tmp_path) as store:
        for name in (LOG, LATEST):
            store.create_table(name, SCHEMA)
    chance = random.Random(20240229)
    following = 0
    with writers(tmp_path) as process:
        for _ in range(kills):
            acknowledged = commits_until_killed(process, following, chance.uniform(0, 0.03))
            following = check(tmp_path, acknowledged) + 1
    assert following >= kills, "each writer acknowledged at least one commit"
    files_after_a_day(tmp_path)


def files_after_a_day(root: Path) -> None:
    """When all sessions have expired, exactly the visible files are left."""
    with Store(root, clock=lambda: time.time() + 25 * 3600) as store:
        visible = {stored.path for name in (LOG, LATEST) for stored in snapshot_files(store, name)}
        assert set((root / "data").iterdir()) == visible


def snapshot_files(store: Store, name):
    return store._snapshot(store.create_download(name).id).files
