"""Runs contenders in interleaved rounds and keeps what each round took."""

from __future__ import annotations

import gc
import resource
import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Case", "Contender", "Figures", "Observed", "Round", "WrongRows", "measure"]


class WrongRows(AssertionError):
    """A contender gave or stored other rows than the table has; its time would mean nothing."""


@dataclass(frozen=True)
class Observed:
    """What a run returns that has more to tell than how long it took.

    ``numbers`` by name, the unit in the name; ``trace``: (seconds, value) pairs of something that changed meanwhile.
    """

    result: Any
    numbers: Mapping[str, float] = field(default_factory=dict)
    trace: Sequence[tuple[float, float]] = ()


@dataclass(frozen=True)
class Contender:
    """One way to do the work of a case.

    ``run`` is on the clock. ``prepare`` before it and ``check`` after it are not: ``check`` gets what ``run`` returned
    (of :class:`Observed` the ``result``) and raises :class:`WrongRows` unless it shows exactly the right rows.
    ``rows``: one that is very slow may do only the first so many rows of the case's; ratios are between rows a second.
    ``wall``: a bare transfer of the same bytes, which nobody can beat. ``line`` and ``at``: contenders that are points
    of one curve have the curve's name and their place on the case's ``axis``; others of the case belong to no place.
    """

    name: str
    run: Callable[[], Any]
    check: Callable[[Any], None]
    prepare: Callable[[], None] | None = None
    rows: int | None = None
    wall: bool = False
    line: str = ""
    at: float | None = None


@dataclass(frozen=True)
class Case:
    """The same rows for all ``contenders``; ratios are against the one called ``peer`` (empty: there is none).

    ``byte_count`` is the size of the rows in the Arrow wire form, whatever form a contender uses. ``curves``: places of
    this case on scaling curves, by the name of the axis. ``axis`` of the contenders that have a place of their own.
    ``trace``: what the traces show. ``service_cpu_seconds``, when it is not the suite's own service that works.
    ``once``: one run without warming up, for what is not about speed.
    """

    question: str
    name: str
    rows: int
    byte_count: int
    peer: str
    contenders: Sequence[Contender]
    curves: Mapping[str, float] = field(default_factory=dict)
    axis: str = ""
    trace: str = ""
    service_cpu_seconds: Callable[[], float] | None = None
    once: bool = False


@dataclass(frozen=True)
class Round:
    """Seconds that one run took: by the clock, and of the processors, by the client and by the service.

    The client is this process, and those it started and waited for.
    """

    wall_seconds: float
    client_cpu_seconds: float
    service_cpu_seconds: float
    numbers: Mapping[str, float] = field(default_factory=dict)
    trace: Sequence[tuple[float, float]] = ()


@dataclass
class Figures:
    """All rounds of one contender of one case."""

    question: str
    case: str
    contender: str
    rows: int
    byte_count: int
    """What this contender does of the case's ``case_bytes``."""
    case_bytes: int
    rounds: list[Round] = field(default_factory=list)
    ratio: float | None = None
    """How many times as fast as the peer, by medians."""
    of_the_wall: float | None = None
    """How near the fastest bare transfer: 1 is as fast."""
    role: str = ""
    """``peer``, ``wall`` or nothing."""
    curves: Mapping[str, float | None] = field(default_factory=dict)
    """The place on each axis; None: the same everywhere on it."""
    line: str = ""
    trace: str = ""
    once: bool = False

    @property
    def median(self) -> Round:
        """The median of each number by itself, and the trace of the last round."""
        return Round(
            statistics.median(r.wall_seconds for r in self.rounds),
            statistics.median(r.client_cpu_seconds for r in self.rounds),
            statistics.median(r.service_cpu_seconds for r in self.rounds),
            {name: statistics.median(r.numbers.get(name, 0.0) for r in self.rounds) for name in self._number_names()},
            self.rounds[-1].trace,
        )

    def _number_names(self) -> Iterable[str]:
        return dict.fromkeys(name for r in self.rounds for name in r.numbers)

    @property
    def wall_range(self) -> tuple[float, float]:
        """The fastest and the slowest round, in seconds."""
        walls = [r.wall_seconds for r in self.rounds]
        return min(walls), max(walls)

    @property
    def rows_per_second(self) -> float:
        """By the median."""
        return self.rows / self.median.wall_seconds


def measure(
    case: Case, rounds: int, service_cpu_seconds: Callable[[], float], *, warm_up: bool = True
) -> list[Figures]:
    """Each contender once to warm up, then ``rounds`` rounds in which each runs once, so that a busy spell hits all."""
    figures = {contender.name: _no_figures(case, contender) for contender in case.contenders}
    for number in range(-1 if warm_up and not case.once else 0, 1 if case.once else rounds):
        for contender in case.contenders:
            took = _run(contender, case.service_cpu_seconds or service_cpu_seconds)
            if number >= 0:
                figures[contender.name].rounds.append(took)
    walls = [each.rows_per_second for each in figures.values() if each.role == "wall"]
    for each in figures.values():
        if case.peer:
            each.ratio = each.rows_per_second / figures[case.peer].rows_per_second
        if walls:
            each.of_the_wall = each.rows_per_second / max(walls)
    return list(figures.values())


def _no_figures(case: Case, contender: Contender) -> Figures:
    rows = case.rows if contender.rows is None else contender.rows
    return Figures(
        case.question,
        case.name,
        contender.name,
        rows,
        case.byte_count * rows // max(1, case.rows),
        case.byte_count,
        role="peer" if contender.name == case.peer else "wall" if contender.wall else "",
        curves={**case.curves, **({case.axis: contender.at} if case.axis else {})},
        line=contender.line or contender.name,
        trace=case.trace,
        once=case.once,
    )


def _run(contender: Contender, service_cpu_seconds: Callable[[], float]) -> Round:
    if contender.prepare is not None:
        contender.prepare()
    gc.collect()
    # As in timeit: what one contender leaves to be collected shall not fall on another.
    gc.disable()
    try:
        service_before, client_before = service_cpu_seconds(), _client_cpu_seconds()
        began = time.perf_counter()
        returned = contender.run()
        wall = time.perf_counter() - began
        client, service = _client_cpu_seconds() - client_before, service_cpu_seconds() - service_before
    finally:
        gc.enable()
    observed = returned if isinstance(returned, Observed) else Observed(returned)
    contender.check(observed.result)
    return Round(wall, client, service, observed.numbers, observed.trace)


def _client_cpu_seconds() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)
