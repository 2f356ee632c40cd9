"""A network with a round-trip time and a bandwidth, for tests and benchmarks on loopback.

Pacing is by a running schedule rather than by counting tokens: each piece is given the moment at which the last of
its bytes would have passed, so sleeping too long once is made up for later and the mean rate is exact.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

__all__ = ["Lane", "Link", "LinkShaper", "Pacer"]

# How much of its past a line may catch up on after standing idle; also hides the coarseness of timers.
_CATCH_UP_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class Link:
    """The network to imitate.

    ``latency_seconds`` is one round trip, added to every answer; the two rates bound one request's body and all bodies
    together, each direction by itself. None is no limit.
    """

    latency_seconds: float = 0.0
    stream_bytes_per_second: float | None = None
    total_bytes_per_second: float | None = None


class Pacer:
    """One line of ``bytes_per_second``; says how long to wait, and never waits itself."""

    def __init__(self, bytes_per_second: float) -> None:
        self._seconds_per_byte = 1.0 / bytes_per_second
        self._free_at = float("-inf")

    def reserve(self, size_bytes: int, now: float) -> float:
        """Take the line for ``size_bytes``; the seconds from ``now`` until the last of them has passed."""
        self._free_at = max(self._free_at, now - _CATCH_UP_SECONDS) + size_bytes * self._seconds_per_byte
        return max(0.0, self._free_at - now)


class Lane:
    """What the bytes of one body pass through: the pacers of its stream and of the whole link."""

    def __init__(self, *pacers: Pacer | None) -> None:
        self._pacers = [pacer for pacer in pacers if pacer is not None]

    def __bool__(self) -> bool:
        return bool(self._pacers)

    async def take(self, size_bytes: int) -> None:
        """Wait until ``size_bytes`` may have passed."""
        now = asyncio.get_running_loop().time()
        delay = max((pacer.reserve(size_bytes, now) for pacer in self._pacers), default=0.0)
        if delay > 0:
            await asyncio.sleep(delay)


class LinkShaper:
    """The running state of a :class:`Link`: one total pacer for each direction, a fresh one for every body."""

    def __init__(self, link: Link) -> None:
        self.link = link
        total = link.total_bytes_per_second
        self._down = Pacer(total) if total else None
        self._up = Pacer(total) if total else None

    def answer_lane(self) -> Lane:
        """The lane of one answer's body."""
        return Lane(self._stream(), self._down)

    def request_lane(self) -> Lane:
        """The lane of one request's body."""
        return Lane(self._stream(), self._up)

    def _stream(self) -> Pacer | None:
        rate = self.link.stream_bytes_per_second
        return Pacer(rate) if rate else None
