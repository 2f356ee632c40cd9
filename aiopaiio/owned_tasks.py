"""A task group that outlives the call that opens it, held open by a task of its own.

A group must not stay open across the yields of somebody else's code, and must be closed by the task that opened it;
readers and writers are used by whichever task calls next.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import anyio
import anyio.abc

__all__ = ["OwnedTasks"]


class OwnedTasks:
    """Tasks that end together: by :meth:`cancel`, by :meth:`aclose`, or with the event loop.

    ``on_start`` runs as soon as tasks can be started, whatever becomes of the caller who waits for that.
    """

    def __init__(self, name: str, on_start: Callable[[], None] = lambda: None) -> None:
        self._name = name
        self._on_start = on_start
        self._owner: asyncio.Task[None] | None = None
        self._group: anyio.abc.TaskGroup | None = None
        self._ready = anyio.Event()

    async def start(self) -> None:
        """Open the group, if it is not open yet; cancelled in between, nothing can be started."""
        if self._owner is None:
            self._owner = asyncio.create_task(self._own(), name=self._name)
            # Cancelled before its first step, it would never say that it has started.
            self._owner.add_done_callback(lambda _: self._ready.set())
        await self._ready.wait()

    def start_soon(
        self, function: Callable[..., Coroutine[Any, Any, None]], *args: object, name: str | None = None
    ) -> None:
        """Start a task; it must let out no exception but cancellation."""
        assert self._group is not None  # started
        self._group.start_soon(function, *args, name=name)

    def cancel(self) -> None:
        """Stop all tasks without waiting for it."""
        if self._owner is not None:
            self._owner.cancel()

    async def aclose(self) -> None:
        """Stop all tasks and wait until they have let go of what they hold."""
        self.cancel()
        if self._owner is not None:
            # Shielded, because a cancelled caller must not leave tasks and connections behind either.
            with anyio.CancelScope(shield=True):
                await asyncio.wait([self._owner])

    async def _own(self) -> None:
        async with anyio.create_task_group() as self._group:
            self._on_start()
            self._ready.set()
            await anyio.sleep_forever()
