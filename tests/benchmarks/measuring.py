"""Runs contenders in interleaved rounds and keeps what each round took."""

from __future__ import annotations

import gc
import resource
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Case", "Contender", "Figures", "Round", "WrongRows", "measure"]


class WrongRows(AssertionError):
    """A contender gave or stored other rows than the table has; its time would mean nothing."""


@dataclass(frozen=True)
class Contender:
    """One way to do the work of a case.

    ``run`` is on the clock. ``prepare`` before it and ``check`` after it are not: ``check`` gets what ``run`` returned
    and raises :class:`WrongRows` unless it shows exactly the right rows. ``rows``: one that is very slow may do only
    the first so many rows of the case's; ratios are between rows a second.
    """

    name: str
    run: Callable[[], Any]
    check: Callable[[Any], None]
    prepare: Callable[[], None] | None = None
    rows: int | None = None


@dataclass(frozen=True)
class Case:
    """The same rows for all ``contenders``; ratios are against the one called ``peer``.

    ``byte_count`` is the size of the rows in the Arrow wire form, whatever form a contender uses.
    """

    question: str
    name: str
    rows: int
    byte_count: int
    peer: str
    contenders: Sequence[Contender]


@dataclass(frozen=True)
class Round:
    """Seconds that one run took: by the clock, and of the processors, by the client and by the service.

    The client is this process, and those it started and waited for."""

    wall_seconds: float
    client_cpu_seconds: float
    service_cpu_seconds: float


@dataclass
class Figures:
    """All rounds of one contender of one case."""

    question: str
    case: str
    contender: str
    rows: int
    byte_count: int
    rounds: list[Round] = field(default_factory=list)
    ratio: float = 1.0
    """How many times as fast as the peer, by medians."""

    @property
    def median(self) -> Round:
        """The median of each number by itself."""
        return Round(
            *(
                statistics.median(getattr(r, name) for r in self.rounds)
                for name in ("wall_seconds", "client_cpu_seconds", "service_cpu_seconds")
            )
        )

    @property
    def wall_range(self) -> tuple[float, float]:
        """The fastest and the slowest round, in seconds."""
        walls = [r.wall_seconds for r in self.rounds]
        return min(walls), max(walls)


def measure(case: Case, rounds: int, service_cpu_seconds: Callable[[], float]) -> list[Figures]:
    """Each contender once to warm up, then ``rounds`` rounds in which each runs once, so that a busy spell hits all."""
    figures = {}
    for contender in case.contenders:
        rows = case.rows if contender.rows is None else contender.rows
        byte_count = case.byte_count * rows // max(1, case.rows)
        figures[contender.name] = Figures(case.question, case.name, contender.name, rows, byte_count)
    for number in range(-1, rounds):
        for contender in case.contenders:
            took = _run(contender, service_cpu_seconds)
            if number >= 0:
                figures[contender.name].rounds.append(took)
    peer = figures[case.peer]
    for each in figures.values():
        each.ratio = (each.rows / each.median.wall_seconds) / (peer.rows / peer.median.wall_seconds)
    return list(figures.values())


def _run(contender: Contender, service_cpu_seconds: Callable[[], float]) -> Round:
    if contender.prepare is not None:
        contender.prepare()
    gc.collect()
    # As in timeit: what one contender leaves to be collected shall not fall on another.
    gc.disable()
    try:
        service_before, client_before = service_cpu_seconds(), _client_cpu_seconds()
        began = time.perf_counter()
        result = contender.run()
        wall = time.perf_counter() - began
        client, service = _client_cpu_seconds() - client_before, service_cpu_seconds() - service_before
    finally:
        gc.enable()
    contender.check(result)
    return Round(wall, client, service)


def _client_cpu_seconds() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)
