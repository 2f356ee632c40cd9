"""Faults on purpose: what should go wrong, at which request. Only values and counting: see :mod:`.faulting`.

Requests are counted per operation (``create_download``, ``read_rows``, ``put_block``, ...; all names are in
:mod:`.operations`) from the moment a fault is added, so a script such as "the third read is cut after 1000 bytes" does
not depend on what ran before. Only a program that starts the service can add faults; no request can.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from aiopaiio.local.operations import Operation

__all__ = [
    "Action",
    "ExpireSession",
    "Fault",
    "Faults",
    "Fired",
    "FlipBit",
    "LoseAnswer",
    "Refuse",
    "ResetAfter",
    "ResetUpload",
    "ShortBody",
    "SlowBody",
    "Stall",
    "Status",
    "WrongRowCount",
]


@dataclass(frozen=True, slots=True)
class Refuse:
    """Close the connection without an answer, before anything is done."""


@dataclass(frozen=True, slots=True)
class Status:
    """Answer with an error and do nothing. Without ``code`` the body is empty, as from a proxy in between."""

    status: int
    code: str = ""
    message: str = "A fault on purpose."
    retry_after_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Stall:
    """Fall silent for ``seconds`` (None: until the client leaves or the service stops), then go on as if nothing was.

    ``after_bytes`` of the answer's body have been sent by then; None stalls before anything is done.
    """

    seconds: float | None = None
    after_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class ResetAfter:
    """Break the connection when exactly ``sent_bytes`` of the answer's body have been handed to the network."""

    sent_bytes: int


@dataclass(frozen=True, slots=True)
class ResetUpload:
    """Break the connection once ``received_bytes`` of the request's body have come in."""

    received_bytes: int


@dataclass(frozen=True, slots=True)
class ShortBody:
    """End the answer early but properly, so that HTTP sees nothing wrong. Give exactly one place to cut.

    ``cut_at_bytes`` of the body's bytes; after ``frames`` whole frames of the Arrow form; after ``rows`` rows, without
    what would close the stream (in the record form this is a cut on a record boundary). The cut is made before
    compression, and the compressed stream is closed properly; ``compressed`` cuts the compressed bytes instead.
    """

    cut_at_bytes: int | None = None
    frames: int | None = None
    rows: int | None = None
    compressed: bool = False

    def __post_init__(self) -> None:
        if sum(place is not None for place in (self.cut_at_bytes, self.frames, self.rows)) != 1:
            raise ValueError("ShortBody needs exactly one of cut_at_bytes, frames and rows")
        if self.compressed and self.cut_at_bytes is None:
            raise ValueError("only cut_at_bytes can cut compressed bytes")


@dataclass(frozen=True, slots=True)
class FlipBit:
    """Flip one bit of the answer's body as it is sent: bit ``bit`` of byte ``at_byte``."""

    at_byte: int
    bit: int = 0


@dataclass(frozen=True, slots=True)
class WrongRowCount:
    """Send ``delta`` rows too many (the last one again) or too few, with every checksum right."""

    delta: int = -1


@dataclass(frozen=True, slots=True)
class ExpireSession:
    """The session the request names is gone, for this request and all that follow."""


@dataclass(frozen=True, slots=True)
class LoseAnswer:
    """Do what is asked, then break the connection instead of answering."""


@dataclass(frozen=True, slots=True)
class SlowBody:
    """Send the answer's body at ``bytes_per_second``."""

    bytes_per_second: float


Action = (
    Refuse
    | Status
    | Stall
    | ResetAfter
    | ResetUpload
    | ShortBody
    | FlipBit
    | WrongRowCount
    | ExpireSession
    | LoseAnswer
    | SlowBody
)


@dataclass(frozen=True, slots=True)
class Fault:
    """``action`` at request ``number`` (from 1) of ``operation`` and the ``times - 1`` following ones.

    ``operation`` "*" counts all requests. ``number`` None means from the first on, for ever unless ``times`` is given.
    ``when`` narrows which requests are counted at all.
    """

    operation: str
    action: Action
    number: int | None = None
    times: int | None = None
    when: Callable[[Operation], bool] | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Fired:
    """A fault that happened: the fault, its request's number as the fault counts, and what was asked."""

    fault: Fault
    number: int
    operation: Operation


class Faults:
    """A script of faults, with a log of those that happened and the number of requests of each operation."""

    def __init__(self, faults: Iterable[Fault] = ()) -> None:
        self.log: list[Fired] = []
        self.requests: Counter[str] = Counter()
        self._armed: list[tuple[Fault, list[int]]] = []
        for fault in faults:
            self.add(fault)

    def __repr__(self) -> str:
        return f"<Faults: {len(self._armed)} armed, {len(self.log)} fired>"

    def add(self, fault: Fault) -> None:
        """Arm one more fault; it counts requests from now on."""
        self._armed.append((fault, [0]))

    def clear(self) -> None:
        """Disarm everything; the log stays."""
        self._armed.clear()

    def actions_for(self, operation: Operation) -> tuple[Action, ...]:
        """Count one request and return what shall go wrong with it, in the order the faults were added."""
        self.requests[operation.name] += 1
        actions = []
        for fault, seen in self._armed:
            if fault.operation not in ("*", operation.name) or (fault.when and not fault.when(operation)):
                continue
            seen[0] += 1
            if _is_due(fault, seen[0]):
                self.log.append(Fired(fault, seen[0], operation))
                actions.append(fault.action)
        return tuple(actions)


def _is_due(fault: Fault, number: int) -> bool:
    if fault.number is None:
        return fault.times is None or number <= fault.times
    return fault.number <= number < fault.number + (fault.times or 1)
