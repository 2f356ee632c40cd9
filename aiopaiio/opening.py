"""What ``open_...`` returns: to be awaited, or used with ``async with``."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from types import TracebackType
from typing import Any, Generic, Protocol, TypeVar

__all__ = ["Opening"]


class _Resource(Protocol):
    async def __aenter__(self) -> Any: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None, /
    ) -> bool | None: ...


_R = TypeVar("_R", bound=_Resource)


class Opening(Generic[_R]):
    """A resource about to be opened: ``reader = await opening``, or ``async with opening as reader``."""

    def __init__(self, open_it: Callable[[], Awaitable[_R]]) -> None:
        self._open_it = open_it
        self._resource: _R | None = None

    def __await__(self) -> Generator[Any, None, _R]:
        return self._open_it().__await__()

    async def __aenter__(self) -> _R:
        self._resource = await self._open_it()
        entered: _R = await self._resource.__aenter__()
        return entered

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        assert self._resource is not None  # entered
        return await self._resource.__aexit__(kind, error, traceback)
