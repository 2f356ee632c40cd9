"""The background event loop of the process, and how blocking callers wait for it. The only module that owns a thread.

One daemon thread with one loop for each process, started by the first call, never at import. A caller hands over a
coroutine function and waits. When an exception breaks its wait (Ctrl-C, mostly), the task is cancelled and its clean-up
awaited before the exception goes on; a second one goes on at once.

After ``fork`` the child has the memory of its parent's bridge but not its thread. Closing what belongs to it would take
connections out of the epoll set that both share. So the child forgets it, untouched, and makes its own if need be.
"""

from __future__ import annotations

import asyncio
import atexit
import logging
import os
import threading
from collections.abc import Awaitable, Callable, Coroutine, Hashable
from typing import Any, TypeVar

import anyio

from aiopaiio.errors import ClosedError, UsageError

__all__ = ["Bridge", "bridge"]

_STOP_SECONDS = 5.0
"""How long the end of the program waits for connections to be closed."""

_START_SECONDS = 30.0
"""How long a fork waits for a bridge that is being started by another thread."""

_PAUSE_SECONDS = 5.0
"""How long a fork waits for the loop to come to rest."""

_SIGNAL_CHECK_SECONDS = 0.25

_STOPPED = "the program is ending: paiio's background loop has stopped"

_log = logging.getLogger(__name__)
_T = TypeVar("_T")
_R = TypeVar("_R")


class _Call:
    """One coroutine function on its way through the loop, and the lock its caller waits on."""

    def __init__(self, function: Callable[..., Awaitable[Any]], args: tuple[Any, ...]) -> None:
        self._function = function
        self._args = args
        self._task: asyncio.Task[None] | None = None
        self._ended = False
        self._value: Any = None
        self._error: BaseException | None = None
        # A bare lock: an interrupt inside the Python code of Event or Condition could leave those locked for ever.
        self._pending = threading.Lock()
        self._pending.acquire()

    def begin(self, spawn: Callable[..., asyncio.Task[None]]) -> None:
        """In the loop: start the task."""
        self._task = spawn(self._run)
        self._task.add_done_callback(self._end)

    def cancel(self) -> None:
        """In the loop: stop the task. Before it began there is nothing to stop."""
        if self._task is None:
            self._end()
        else:
            # Not through a cancel scope, which would cancel every await of the task's clean-up again.
            self._task.cancel()

    async def _run(self) -> None:
        try:
            self._value = await self._function(*self._args)
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            self._error = error

    def _end(self, task: asyncio.Task[None] | None = None) -> None:
        if task is not None and task.cancelled():
            self._error = ClosedError(_STOPPED)
        self._ended = True
        self._pending.release()

    def wait(self) -> None:
        # An interrupt may come when this has just got the lock, which nobody gives a second time.
        # A signal that another thread received (and every one on Windows) does not end the wait for a lock; its handler
        # runs when the main thread comes back to Python.
        while not self._ended and not self._pending.acquire(timeout=_SIGNAL_CHECK_SECONDS):
            pass

    def result(self) -> Any:
        error, self._error = self._error, None
        if error is None:
            return self._value
        try:
            raise error
        finally:
            del error  # its traceback holds this frame


class Bridge:
    """A running loop. Get it from :func:`bridge`.

    ``forked`` is true in a child process that inherited it: whatever was opened through it is of no use there.
    """

    def __init__(self) -> None:
        self.forked = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopped = asyncio.Event()
        self._failure: BaseException | None = None
        self._started = threading.Lock()
        self._started.acquire()
        self._shared: dict[Hashable, Any] = {}
        self._closers: list[Callable[[], Awaitable[Any]]] = []
        self._open: dict[int, tuple[Any, Callable[[], Awaitable[Any]]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._before_stop: dict[Callable[[], None], None] = {}
        self._thread = threading.Thread(target=self._run, name="paiio-bridge", daemon=True)
        self._thread.start()
        self._started.acquire()
        if self._failure is not None:
            raise self._failure

    def __repr__(self) -> str:
        state = "inherited by fork" if self.forked else "running" if self._thread.is_alive() else "stopped"
        return f"<paiio bridge, {state}>"

    # ------------------------------------------------------------------------------------------- for blocking callers

    def call(self, function: Callable[..., Awaitable[_R]], *args: Any) -> _R:
        """Run ``function(*args)`` in the loop, wait for it, and give back or raise what it does."""
        if threading.get_ident() == self._thread.ident:
            raise UsageError(
                "paiio's blocking functions cannot be called from paiio's own event loop, which they would block; "
                "use aiopaiio there"
            )
        call = _Call(function, args)
        try:
            self._soon(call.begin, self._spawn)
            call.wait()
        except BaseException:
            self._cancel(call)
            raise
        result: _R = call.result()
        return result

    def post(self, function: Callable[[], Awaitable[Any]]) -> None:
        """Run ``function()`` in the loop some time, without waiting; its errors are only logged. Safe in finalizers."""
        if not self.forked:
            try:
                self._soon(self._spawn, _logged, function)
            except ClosedError:
                _log.debug("%r was not run: the loop has stopped", function)

    def keep(self, resource: object, close: Callable[[], Awaitable[Any]]) -> None:
        """Hold something open until :meth:`let_go`; ``close`` is run when the program ends before that.

        In a child process the reference stays for ever, so that no finalizer runs there.
        """
        self._open[id(resource)] = (resource, close)

    def let_go(self, resource: object) -> None:
        """Give up the reference of :meth:`keep`."""
        self._open.pop(id(resource), None)

    def before_stop(self, function: Callable[[], None]) -> None:
        """Call ``function`` when the program ends, while everything still works; once, however often this is asked."""
        self._before_stop[function] = None

    # ------------------------------------------------------------------------------------------------- inside the loop

    def shared(self, key: Hashable, make: Callable[[], _T], close: Callable[[_T], Awaitable[Any]]) -> _T:
        """In the loop: what ``make`` made for this key the first time; ``close`` is run when the program ends."""
        if key not in self._shared:
            made = make()
            self._shared[key] = made
            self._closers.append(lambda: close(made))
        found: _T = self._shared[key]
        return found

    def _run(self) -> None:
        try:
            anyio.run(self._main, backend="asyncio")
        except BaseException as error:
            self._failure = error
            if self._started.locked():
                self._started.release()

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._started.release()
        await self._stopped.wait()

    def _spawn(self, function: Callable[..., Coroutine[Any, Any, None]], *args: Any) -> asyncio.Task[None]:
        assert self._loop is not None  # running
        task = self._loop.create_task(function(*args))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _soon(self, act: Callable[..., object], *args: Any) -> None:
        """From any thread: have the loop do ``act(*args)``. Raises :class:`aiopaiio.ClosedError` if it has stopped.

        Not by a portal, whose callers wait, in a way that an interrupt can lock for ever, until their task is made.
        """
        assert self._loop is not None  # started
        if self._stopped.is_set():
            raise ClosedError(_STOPPED)
        try:
            self._loop.call_soon_threadsafe(act, *args)
        except RuntimeError as error:
            raise ClosedError(_STOPPED) from error

    # ------------------------------------------------------------------------------------------------- around a fork

    def pause(self) -> Callable[[], None]:
        """Hold the loop between two callbacks; gives what lets it go on.

        So a fork meets it where it holds no lock: neither an import's, nor a logger's, nor a memory allocator's, all of
        which would stay locked in the child. A loop that does not come to rest in time is not waited for.
        """
        paused, go_on = threading.Lock(), threading.Lock()
        paused.acquire()
        go_on.acquire()

        def rest() -> None:
            paused.release()
            go_on.acquire()

        if threading.get_ident() != self._thread.ident and self._thread.is_alive():
            try:
                self._soon(rest)
            except ClosedError:
                pass
            else:
                paused.acquire(timeout=_PAUSE_SECONDS)
        return go_on.release

    # -------------------------------------------------------------------------------------------------------- endings

    def _cancel(self, call: _Call) -> None:
        try:
            self._soon(call.cancel)
        except ClosedError:
            return
        call.wait()

    def stop(self) -> None:
        """At the end of the program: close what is open, cancel the rest, and wait a few seconds for that."""
        if self.forked or self._loop is None or not self._thread.is_alive():
            return
        for function in self._before_stop:
            function()
        try:
            self._soon(self._spawn, self._close_all)
        except ClosedError:
            return
        self._thread.join(_STOP_SECONDS)

    async def _close_all(self) -> None:
        assert self._loop is not None  # running
        # Nobody is left to whom it matters how the cancelled tasks end.
        self._loop.set_exception_handler(lambda loop, context: _log.debug("at the end of the program: %r", context))
        with anyio.move_on_after(_STOP_SECONDS / 2):
            for close in [*(close for _, close in self._open.values()), *self._closers]:
                await _logged(close)
        self._stopped.set()


async def _logged(function: Callable[[], Awaitable[Any]]) -> None:
    try:
        await function()
    except Exception:
        _log.debug("%r failed", function, exc_info=True)


_current: Bridge | None = None
_starting = threading.Lock()
_go_on_after_fork: Callable[[], None]


def bridge() -> Bridge:
    """The bridge of this process, started if there is none yet."""
    global _current
    if _current is None:
        with _starting:
            if _current is None:
                _current = Bridge()
    return _current


def _pause_for_fork() -> None:
    global _go_on_after_fork
    # A start imports modules. A fork in its midst would leave them half imported in the child, and locked for ever.
    held = _starting.acquire(timeout=_START_SECONDS)
    go_on = _current.pause() if _current is not None else None

    def go_on_after_fork() -> None:
        if go_on is not None:
            go_on()
        if held:
            _starting.release()

    _go_on_after_fork = go_on_after_fork


def _go_on_in_parent() -> None:
    _go_on_after_fork()


def _forget_in_child() -> None:
    global _current, _starting
    if _current is not None:
        _current.forked = True
    _current = None
    # Whoever held it may not exist here.
    _starting = threading.Lock()


def _stop_at_exit() -> None:
    if _current is not None:
        _current.stop()


os.register_at_fork(before=_pause_for_fork, after_in_parent=_go_on_in_parent, after_in_child=_forget_in_child)
atexit.register(_stop_at_exit)
