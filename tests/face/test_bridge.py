"""The bridge in one process: results, errors, interrupts, its own thread, and what it keeps."""

from __future__ import annotations

import asyncio
import itertools
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import pytest

from aiopaiio.errors import ClosedError, UsageError
from paiio._bridge import Bridge, bridge


class Interrupt(BaseException):
    """Raised by a signal handler, as Ctrl-C is."""


@contextmanager
def interrupts() -> Iterator[None]:
    """SIGUSR1 raises Interrupt in the main thread."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise Interrupt

    before = signal.signal(signal.SIGUSR1, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGUSR1, before)


def interrupt_main_thread() -> None:
    """As Ctrl-C does: the signal is received by the thread that waits."""
    ident = threading.main_thread().ident
    assert ident is not None
    signal.pthread_kill(ident, signal.SIGUSR1)


def interrupt_elsewhere() -> None:
    """The signal is received by this thread, which does not handle it: Python's main thread does."""
    signal.raise_signal(signal.SIGUSR1)


async def add(a: int, b: int) -> int:
    return a + b


def test_a_call_gives_the_result_or_raises_the_error() -> None:
    async def fail() -> None:
        raise KeyError("place")

    assert bridge().call(add, 1, 2) == 3
    with pytest.raises(KeyError, match="place"):
        bridge().call(fail)
    assert bridge().call(add, 1, 2) == 3


def test_there_is_one_bridge_whoever_asks_first() -> None:
    found: list[Bridge] = []
    threads = [threading.Thread(target=lambda: found.append(bridge())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {id(b) for b in found} == {id(bridge())}
    assert sum(thread.name == "paiio-bridge" for thread in threading.enumerate()) == 1


async def test_a_call_works_while_the_callers_thread_runs_a_loop() -> None:
    assert bridge().call(add, 1, 2) == 3


def test_a_call_from_its_own_thread_is_an_error() -> None:
    async def call_again() -> int:
        return bridge().call(add, 1, 2)

    with pytest.raises(UsageError, match="aiopaiio"):
        bridge().call(call_again)


@pytest.mark.parametrize("interrupt", [interrupt_main_thread, interrupt_elsewhere])
def test_an_interrupt_cancels_the_task_and_waits_for_its_clean_up(interrupt: Callable[[], None]) -> None:
    steps: list[str] = []

    async def work() -> None:
        try:
            threading.Thread(target=interrupt).start()
            await asyncio.Event().wait()
        finally:
            steps.append("cancelled")
            await asyncio.sleep(0)
            await asyncio.get_running_loop().run_in_executor(None, time.perf_counter)
            steps.append("cleaned up")

    with interrupts(), pytest.raises(Interrupt):
        bridge().call(work)
    assert steps == ["cancelled", "cleaned up"]
    assert bridge().call(add, 1, 2) == 3


def test_a_second_interrupt_does_not_wait() -> None:
    release = threading.Event()

    async def work() -> None:
        try:
            threading.Thread(target=interrupt_main_thread).start()
            await asyncio.Event().wait()
        finally:
            threading.Thread(target=interrupt_main_thread).start()
            await asyncio.get_running_loop().run_in_executor(None, release.wait)

    with interrupts(), pytest.raises(Interrupt):
        bridge().call(work)
    release.set()
    assert bridge().call(add, 1, 2) == 3


WAITING = {"paiio", "asyncio", "anyio", "concurrent", "threading"}
"""Packages whose functions a call goes through; a finalizer, which swallows an interrupt, may run at any moment."""


def interrupt_at(step: int) -> Callable[[FrameType, str, Any], Any]:
    """For ``sys.settrace``: raises Interrupt before this instruction of what the thread runs from then on."""
    steps = itertools.count(1)

    def trace(frame: FrameType, event: str, arg: Any) -> Any:
        if frame.f_globals["__name__"].partition(".")[0] not in WAITING:
            return None
        frame.f_trace_opcodes = True
        if event == "opcode" and next(steps) == step:
            raise Interrupt
        return trace

    return trace


def test_an_interrupt_at_any_instruction_of_a_call() -> None:
    """In a thread of its own, so that a call that never comes back fails the test and does not hang it."""
    running: list[int] = []
    interrupted_at: list[int] = []

    async def work() -> int:
        running.append(1)
        try:
            await asyncio.sleep(0)
            return 3
        finally:
            running.pop()

    def interrupt_everywhere() -> None:
        # Python 3.12 must know before it begins to trace that somebody will ask for this.
        sys._getframe().f_trace_opcodes = True
        for step in itertools.count(1):
            try:
                sys.settrace(interrupt_at(step))
                assert bridge().call(work) == 3
                sys.settrace(None)
                return
            except Interrupt:
                interrupted_at.append(step)
            assert not running
            assert bridge().call(add, 1, 2) == 3

    thread = threading.Thread(target=interrupt_everywhere, daemon=True)
    thread.start()
    thread.join(60)
    assert not thread.is_alive(), f"hangs after an interrupt at instruction {len(interrupted_at) + 1}"
    assert len(interrupted_at) > 100


def test_posted_work_is_run_without_waiting() -> None:
    done = threading.Event()

    async def work() -> None:
        done.set()
        raise RuntimeError("only logged")

    bridge().post(work)
    assert done.wait(10)


def test_shared_values_are_made_once() -> None:
    made: list[object] = []

    def make() -> object:
        made.append(object())
        return made[-1]

    async def close(value: object) -> None:
        pass

    async def get() -> object:
        return bridge().shared("one key", make, close)

    assert bridge().call(get) is bridge().call(get)
    assert len(made) == 1


def test_a_stopped_bridge_closes_what_is_open_and_refuses_calls() -> None:
    stopped = Bridge()
    closed: list[str] = []

    async def close(name: str) -> None:
        closed.append(name)

    async def share() -> None:
        stopped.shared("client", lambda: "client", close)

    kept, let_go = object(), object()
    stopped.keep(kept, lambda: close("kept"))
    stopped.keep(let_go, lambda: close("let go"))
    stopped.let_go(let_go)
    stopped.call(share)
    stopped.stop()
    stopped.stop()
    assert closed == ["kept", "client"]
    with pytest.raises(ClosedError, match="ending"):
        stopped.call(add, 1, 2)
    stopped.post(lambda: close("late"))
    assert closed == ["kept", "client"]


def test_stopping_ends_waiting_calls() -> None:
    stopped = Bridge()
    waiting, errors = threading.Event(), []

    async def work() -> None:
        waiting.set()
        await asyncio.Event().wait()

    def call() -> None:
        try:
            stopped.call(work)
        except ClosedError as error:
            errors.append(error)

    thread = threading.Thread(target=call)
    thread.start()
    assert waiting.wait(10)
    stopped.stop()
    thread.join(10)
    assert len(errors) == 1


def test_a_paused_loop_does_nothing_until_it_may_go_on() -> None:
    go_on = bridge().pause()
    ran = threading.Event()

    async def work() -> None:
        ran.set()

    bridge().post(work)
    assert not ran.is_set()
    go_on()
    assert ran.wait(10)
    bridge().pause()()
    assert bridge().call(add, 1, 2) == 3
