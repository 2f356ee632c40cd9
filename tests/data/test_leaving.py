"""Whoever stops half-way leaves nothing behind and does not wait: no thread, socket, task or open table."""

from __future__ import annotations

import asyncio
import gc
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

tf = pytest.importorskip("tensorflow", reason="datasets need TensorFlow")

import paiio  # noqa: E402
from aiopaiio.local import LocalService  # noqa: E402
from aiopaiio.local.faults import Fault, Stall  # noqa: E402
from paiio._bridge import Bridge, bridge  # noqa: E402
from paiio.data import _ending  # noqa: E402

from .conftest import DEFAULTS, MakeTable, numbered  # noqa: E402

Dataset = paiio.TableRecordDataset


class Boom(Exception):
    """What a consumer raises."""


async def our_tasks() -> list[str]:
    """Names of what runs in the background loop for some dataset or reader."""
    return [task.get_name() for task in asyncio.all_tasks() if task.get_name().startswith(("paiio ", "aiopaiio "))]


def our_threads() -> list[str]:
    """Names of the threads that Python knows, without the service's."""
    return sorted(thread.name for thread in threading.enumerate() if not thread.name.startswith("aiopaiio-local"))


def wait_until_idle(of: Bridge) -> None:
    """Until nothing is open; for ever, that is until the test's time is up, if something stays open."""
    while of.call(our_tasks) or of._open:
        time.sleep(0.005)


def leave_by_break(dataset: Any) -> None:
    for _ in dataset:
        break


def leave_by_exception(dataset: Any) -> None:
    with pytest.raises(Boom):
        for _ in dataset:
            raise Boom


def leave_by_dropping(dataset: Any) -> None:
    iterator = iter(dataset)
    next(iterator)
    del iterator


def leave_by_failing_map(dataset: Any) -> None:
    def fail(*_: Any) -> int:
        raise Boom

    with pytest.raises(tf.errors.OpError):
        list(dataset.map(lambda *row: tf.py_function(fail, row, tf.int32)))


def leave_before_the_first(dataset: Any) -> None:
    iter(dataset)


WAYS = [leave_by_break, leave_by_exception, leave_by_dropping, leave_by_failing_map, leave_before_the_first]


def leave(path: str, times: int) -> None:
    """All ways out, through several pipelines."""
    dataset = Dataset(path, DEFAULTS, num_threads=4)
    pipelines = [
        dataset,
        dataset.batch(8),
        dataset.batch(8).prefetch(4),
        dataset.repeat().shuffle(64).batch(8).prefetch(tf.data.AUTOTUNE),
    ]
    for number in range(times):
        WAYS[number % len(WAYS)](pipelines[number % len(pipelines)])


@pytest.mark.slow
@pytest.mark.timeout(300)  # TensorFlow may take half a second to begin after an iterator was dropped
def test_early_exits(make_table: MakeTable) -> None:
    path = make_table(numbered(20_000))
    leave(path, 20)
    ours = bridge()
    gc.collect()
    wait_until_idle(ours)
    process = psutil.Process()
    # TensorFlow keeps the threads of its pools; connections are kept for the next request.
    threads, files = our_threads(), process.num_fds()
    system_threads = process.num_threads()
    leave(path, 100)
    gc.collect()
    wait_until_idle(ours)
    assert our_threads() == threads
    assert process.num_fds() <= files + 4
    assert process.num_threads() <= system_threads + 8


@pytest.mark.parametrize("operation", [pytest.param("create_download", marks=pytest.mark.slow), "read_rows"])
def test_dropping_while_the_service_is_silent(make_table: MakeTable, service: LocalService, operation: str) -> None:
    """The rows of the second table never come, and somebody already waits for them inside TensorFlow."""
    paths = [make_table(numbered(100)), make_table(numbered(100, 100))]
    # Of each operation the first is for the first table.
    service.faults.add(Fault(operation, number=2, action=Stall()))
    try:
        iterator = iter(Dataset(paths, DEFAULTS).batch(50).prefetch(10))
        next(iterator)
        del iterator
        gc.collect()
        wait_until_idle(bridge())
    finally:
        service.faults.clear()


def test_errors_leave_nothing_open(make_table: MakeTable) -> None:
    path = make_table(numbered(100))
    for _ in range(5):
        with pytest.raises(tf.errors.OpError):
            list(Dataset(path, [0]).repeat().shuffle(10))
    gc.collect()
    wait_until_idle(bridge())


def test_a_generator_stops_when_the_program_ends(make_table: MakeTable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_ending, "_stopped", False)
    iterator = iter(Dataset(make_table(numbered(100)), DEFAULTS).repeat().batch(10))
    next(iterator)
    _ending.stop_generators()
    # Nobody may take what came for all there is.
    with pytest.raises(tf.errors.OpError, match="ClosedError: the program is ending"):
        list(iterator)
    with pytest.raises(tf.errors.OpError, match="ClosedError: the program is ending"):
        list(Dataset(make_table(numbered(100)), DEFAULTS))


@pytest.mark.slow
def test_programs_end(make_table: MakeTable) -> None:
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("ending_program.py")), make_table(numbered(1000))],
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    endings = sorted(line.partition(": ")[2] for line in done.stdout.splitlines())
    assert len(endings) == 15, done.stderr
    assert set(endings) == {"falls off: 0", "exits: 0", "a thread still reads: 0"}, done.stderr
