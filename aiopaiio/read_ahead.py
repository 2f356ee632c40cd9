"""What is awaited next comes while the one before is dealt with."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypeVar

import anyio
import anyio.abc

__all__ = ["read_ahead"]

T = TypeVar("T")


@asynccontextmanager
async def read_ahead(items: AsyncIterator[T]) -> AsyncIterator[AsyncIterator[T]]:
    """The same items and the same error behind them; while one is in the caller's hands, the next is awaited already.

    At most one waits. Leaving stops the task that awaits them.
    """
    sender, receiver = anyio.create_memory_object_stream[T | Exception](0)
    failure: Exception | None = None
    # An exception must not leave through the group, which would wrap it.
    async with anyio.create_task_group() as group:
        group.start_soon(_send_all, items, sender)
        try:
            with receiver:
                yield _received(receiver)
        except Exception as error:
            failure = error
        group.cancel_scope.cancel()
    if failure is not None:
        raise failure


async def _send_all(items: AsyncIterator[T], sender: anyio.abc.ObjectSendStream[T | Exception]) -> None:
    async with sender:
        while True:
            item: T | Exception
            try:
                item = await anext(items)
            except StopAsyncIteration:
                return
            except Exception as error:
                item = error
            try:
                await sender.send(item)
            except anyio.BrokenResourceError:
                return  # the caller has left


async def _received(receiver: anyio.abc.ObjectReceiveStream[T | Exception]) -> AsyncIterator[T]:
    async for item in receiver:
        if isinstance(item, Exception):
            raise item
        yield item
