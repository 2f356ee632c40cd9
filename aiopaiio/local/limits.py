"""What the service allows: sizes it always bounds, and the real service's quotas, which a test can switch on."""

from __future__ import annotations

import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from aiopaiio.local.answers import Refused

__all__ = ["Limits", "Quotas"]

_MIB = 1 << 20
_GIB = 1 << 30


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of the service; None means unlimited. :meth:`real` has the figures the cloud service documents.

    ``sessions_per_5_minutes`` sessions a project may create in any five minutes (which are ``session_window_seconds``
    long, so that a test can have them shorter); ``slots`` row transfers (reads and block uploads) at the same time;
    ``idle_close_seconds`` how long a transfer may stand still before its connection is closed. The rest are sizes: of
    control bodies, of one block (on the wire and decompressed), of one Arrow message or record, of one STRING or BINARY
    value (8 MiB, as in the cloud service); and the rows of a preview.
    """

    sessions_per_5_minutes: int | None = None
    session_window_seconds: float = 300.0
    slots: int | None = None
    idle_close_seconds: float | None = None
    clock_skew_seconds: float = 900.0
    control_body_bytes: int = 4 * _MIB
    block_bytes: int = 100 * _GIB
    message_bytes: int = _GIB
    field_bytes: int = 8 * _MIB
    preview_rows: int = 10_000

    @classmethod
    def real(cls) -> Limits:
        """The documented quotas: 200 sessions in five minutes, 300 transfers at once, 300 seconds of silence."""
        return cls(sessions_per_5_minutes=200, slots=300, idle_close_seconds=300.0)


class Quotas:
    """The counters behind :class:`Limits` that change with time."""

    def __init__(self, limits: Limits, clock: Callable[[], float] = time.monotonic) -> None:
        self._limits = limits
        self._clock = clock
        self._sessions: defaultdict[str, deque[float]] = defaultdict(deque)
        self._transfers = 0

    def new_session(self, project: str) -> None:
        """Count a session of ``project``; refuse it when the five minutes are full, saying when to come back."""
        allowed = self._limits.sessions_per_5_minutes
        if allowed is None:
            return
        made, now, window = self._sessions[project], self._clock(), self._limits.session_window_seconds
        while made and made[0] <= now - window:
            made.popleft()
        if len(made) >= allowed:
            raise Refused(
                "FlowExceeded",
                "Your flow quota is exceeded: too many sessions in five minutes.",
                retry_after_seconds=made[0] + window - now,
            )
        made.append(now)

    @contextmanager
    def slot(self) -> Iterator[None]:
        """Hold one transfer slot; refused at once when none is free."""
        allowed = self._limits.slots
        if allowed is not None and self._transfers >= allowed:
            raise Refused("SlotExceeded", "Your slot quota is exceeded.", status=429, retry_after_seconds=1)
        self._transfers += 1
        try:
            yield
        finally:
            self._transfers -= 1
