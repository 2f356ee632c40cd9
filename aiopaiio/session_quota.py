"""The service's quota of new sessions (200 in five minutes for a project), shared by all who ask through one client."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

import anyio

from aiopaiio import errors

__all__ = ["SessionQuota"]

_T = TypeVar("_T")


class _Retrying(Protocol):
    def __call__(self, once: Callable[[], Awaitable[_T]], /) -> Awaitable[_T]: ...


class SessionQuota:
    """All ask at once until the service refuses one; then one asks again, as the retry policy says, for all of them.

    So a thousand tables cost few refused requests, and whoever is far behind in the line does not run out of patience
    as long as those before it get on.
    """

    def __init__(self) -> None:
        self._refused = False
        self._turn = anyio.Lock()

    async def ask(self, once: Callable[[], Awaitable[_T]], retrying: _Retrying) -> _T:
        """The result of ``once``, a request for a new session.

        ``retrying`` repeats a function as the retry policy says. Raises what ends that.
        """
        while True:
            refusal: errors.Throttled | None = None
            if not self._refused:
                try:
                    return await retrying(_not_repeated_when_throttled(once))
                except _RefusedError as refused:
                    self._refused, refusal = True, refused.error
            async with self._turn:
                if not self._refused:
                    continue
                result = await retrying(_refused_before(once, refusal))
                self._refused = False
                return result


class _RefusedError(Exception):
    """Not one of the errors that are tried again."""

    def __init__(self, error: errors.Throttled) -> None:
        super().__init__(str(error))
        self.error = error


def _not_repeated_when_throttled(once: Callable[[], Awaitable[_T]]) -> Callable[[], Awaitable[_T]]:
    async def attempt() -> _T:
        try:
            return await once()
        except errors.Throttled as error:
            raise _RefusedError(error) from error

    return attempt


def _refused_before(once: Callable[[], Awaitable[_T]], refusal: errors.Throttled | None) -> Callable[[], Awaitable[_T]]:
    """``once``, but beginning with a refusal that came already, so that the time it asks for is waited."""
    refusals = [refusal] if refusal is not None else []

    async def attempt() -> _T:
        if refusals:
            raise refusals.pop()
        return await once()

    return attempt
