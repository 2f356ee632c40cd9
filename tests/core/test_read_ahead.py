"""The next item is awaited while the one before is in use; errors come in their place, and nothing stays behind."""

from __future__ import annotations

from collections.abc import AsyncIterator

import anyio
import pytest

from aiopaiio.read_ahead import read_ahead


async def test_the_next_item_is_awaited_while_one_is_in_use() -> None:
    asked = anyio.Event()

    async def items() -> AsyncIterator[int]:
        yield 1
        asked.set()
        yield 2

    got = []
    with anyio.fail_after(5):
        async with read_ahead(items()) as ahead:
            async for item in ahead:
                got.append(item)
                await asked.wait()
    assert got == [1, 2]


@pytest.mark.parametrize("kind", [KeyError, anyio.BrokenResourceError, anyio.ClosedResourceError])
async def test_an_error_comes_after_the_items_before_it_and_as_it_is(kind: type[Exception]) -> None:
    async def items() -> AsyncIterator[int]:
        yield 1
        raise kind("behind 1")

    got = []
    with pytest.raises(kind, match="behind 1"):
        async with read_ahead(items()) as ahead:
            async for item in ahead:
                got.append(item)
    assert got == [1]


@pytest.mark.parametrize("error", [None, ValueError("mine")])
async def test_leaving_stops_what_is_awaited(error: Exception | None) -> None:
    stopped = False

    async def items() -> AsyncIterator[int]:
        nonlocal stopped
        yield 1
        try:
            await anyio.sleep_forever()
        finally:
            stopped = True

    async def take_one() -> None:
        async with read_ahead(items()) as ahead:
            async for _ in ahead:
                await anyio.wait_all_tasks_blocked()
                if error is not None:
                    raise error
                return

    if error is None:
        await take_one()
    else:
        with pytest.raises(ValueError, match="mine"):
            await take_one()
    assert stopped
