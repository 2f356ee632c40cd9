"""How well is a link used that is fast as a whole, slow a stream, and far away?

The service paces its answers: a round trip of 50 ms, 10 MB/s a stream, 100 MB/s in all, unless a case says otherwise.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace

import aiopaiio
from aiopaiio.local import Limits, Link
from tests.benchmarks.arrivals import Arrivals
from tests.benchmarks.bench import Bench, table_path
from tests.benchmarks.made_rows import mixed_rows
from tests.benchmarks.measuring import Case, Contender, Observed
from tests.benchmarks.repeated_rows import RepeatedRows

_QUESTION = "long_fat_network"
_PEER = "PyODPS, one stream"
_STREAMS_AXIS = "streams, 50 ms, 10 MB per s each, 100 MB per s in all"
_LATENCY_AXIS = "round trip in ms, 10 MB per s a stream, 100 MB per s in all"
_TRACE = "MB/s"
_LINK = Link(latency_seconds=0.05, stream_bytes_per_second=10e6, total_bytes_per_second=100e6)
_STEADY_SECONDS = 3.0


@dataclass(frozen=True)
class _Table:
    """A table, and its size on the wire."""

    rows: RepeatedRows
    byte_count: int

    @property
    def wire_bytes_per_byte(self) -> float:
        return self.byte_count / float(self.rows.block.nbytes * self.rows.times)

    def rows_for(self, byte_count: float) -> int:
        """How many rows are so many bytes."""
        return min(self.rows.row_count, int(self.rows.row_count * byte_count / self.byte_count))


def cases(bench: Bench) -> Iterator[Case]:
    """The link of the question with fixed numbers of streams, then other latencies, few slots, other bandwidths."""
    block, times = (mixed_rows(5_000), 4) if bench.quick else (mixed_rows(500_000), 18)
    rows = bench.load_repeated(block, times)
    table = _Table(rows, bench.body_bytes(rows.name))
    yield from _the_link(bench, table)
    yield from _latencies(bench, table)
    yield from _few_slots(bench, table)
    yield from _bandwidths(bench, table)
    bench.drop(rows.name)


def _the_link(bench: Bench, table: _Table) -> Iterator[Case]:
    name = "50 ms"
    if not bench.wants(_QUESTION, name):
        return
    with bench.beside(link=_LINK) as far:
        fixed = (1, 4) if bench.quick else (1, 4, 16, 64)
        contenders = [
            _pyodps(far, table, table.rows_for(20e6)),
            _aiopaiio(far, table, "default settings", table.rows.row_count, link=_LINK),
            *(
                _aiopaiio(far, table, _streams(streams), table.rows_for(_link_rate(streams) * 2), streams)
                for streams in fixed
            ),
        ]
        yield _case(name, table, contenders, far, axis=_STREAMS_AXIS)


def _latencies(bench: Bench, table: _Table) -> Iterator[Case]:
    for milliseconds in (20,) if bench.quick else (0, 20, 200):
        name = f"{milliseconds} ms"
        if bench.wants(_QUESTION, name):
            link = replace(_LINK, latency_seconds=milliseconds / 1e3)
            with bench.beside(link=link) as far:
                contenders = [
                    _pyodps(far, table, table.rows_for(10e6)),
                    _aiopaiio(far, table, "default settings", table.rows_for(200e6), link=link),
                ]
                yield _case(name, table, contenders, far, curves={_LATENCY_AXIS: milliseconds})


def _few_slots(bench: Bench, table: _Table) -> Iterator[Case]:
    name = "50 ms, 6 transfers at once allowed"
    if not bench.wants(_QUESTION, name):
        return
    with bench.beside(link=_LINK, limits=Limits(slots=6)) as far:
        rows = table.rows_for(120e6)
        contenders = [
            _pyodps(far, table, table.rows_for(10e6)),
            _aiopaiio(far, table, "default settings", rows),
            _aiopaiio(far, table, _streams(16), rows, 16),
        ]
        with _without_warnings():
            yield _case(name, table, contenders, far)


@contextmanager
def _without_warnings() -> Iterator[None]:
    """Each refusal is a warning of the library; here they are wanted, and counted."""
    logger = logging.getLogger(aiopaiio.__name__)
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def _bandwidths(bench: Bench, table: _Table) -> Iterator[Case]:
    fast = Link(latency_seconds=0.02, stream_bytes_per_second=50e6, total_bytes_per_second=400e6)
    slow = Link(latency_seconds=0.05, stream_bytes_per_second=10e6, total_bytes_per_second=15e6)
    for name, link, peer_bytes, own_bytes, fixed in (
        ("20 ms, 50 MB/s a stream, 400 MB/s in all", fast, 50e6, 400e6, (4, 16)),
        ("50 ms, 10 MB/s a stream, 15 MB/s in all", slow, 10e6, 20e6, (4,)),
        ("loopback", None, 80e6, 400e6, (1, 4, 16)),
    ):
        if bench.wants(_QUESTION, name) and not (bench.quick and link):
            with bench.beside(link=link) as near:
                own_rows = table.rows_for(own_bytes)
                contenders = [
                    _pyodps(near, table, table.rows_for(peer_bytes)),
                    _aiopaiio(near, table, "default settings", own_rows, link=link),
                    *(_aiopaiio(near, table, _streams(streams), own_rows, streams) for streams in fixed),
                ]
                yield _case(name, table, contenders, near)


def _case(
    name: str,
    table: _Table,
    contenders: list[Contender],
    bench: Bench,
    *,
    axis: str = "",
    curves: Mapping[str, float] | None = None,
) -> Case:
    row_count = max(contender.rows or 0 for contender in contenders)
    return Case(
        _QUESTION,
        name,
        row_count,
        table.byte_count * row_count // table.rows.row_count,
        _PEER,
        contenders,
        curves=curves or {},
        axis=axis,
        trace=_TRACE if axis else "",
        service_cpu_seconds=bench.service.cpu_seconds,
    )


def _streams(count: int) -> str:
    return f"{count} stream{'s' if count > 1 else ''}"


def _link_rate(streams: int) -> float:
    assert _LINK.stream_bytes_per_second is not None
    assert _LINK.total_bytes_per_second is not None
    return min(streams * _LINK.stream_bytes_per_second, _LINK.total_bytes_per_second)


def _pyodps(bench: Bench, table: _Table, row_count: int) -> Contender:
    def read() -> Observed:
        arrivals = Arrivals(table.rows.block, table.wire_bytes_per_byte)
        session = bench.tunnel.create_download_session(table.rows.name)
        with session.open_arrow_reader(0, row_count) as reader:
            for batch in reader:
                arrivals.take(batch)
        return Observed(arrivals, {"first batch s": arrivals.first_batch_seconds}, arrivals.rates())

    return Contender(_PEER, read, lambda arrivals: arrivals.rows.require_rows(row_count), rows=row_count)


def _aiopaiio(
    bench: Bench, table: _Table, name: str, row_count: int, streams: int = 0, *, link: Link | None = None
) -> Contender:
    """A read of the first ``row_count`` rows; its share of the link is told when that is given."""
    path = f"{table_path(table.rows.name)}?start=0&end={row_count}"

    async def read() -> Observed:
        refused = bench.service.refusals()
        arrivals = Arrivals(table.rows.block, table.wire_bytes_per_byte)
        async with bench.client.open_reader(path, concurrency=streams) as reader:
            async for batch in reader:
                arrivals.take(batch)
        numbers = {"first batch s": arrivals.first_batch_seconds}
        if link is not None and link.total_bytes_per_second is not None:
            numbers |= _shares(arrivals, link.total_bytes_per_second)
        if refusals := bench.service.refusals() - refused:
            numbers["refusals"] = refusals
        return Observed(arrivals, numbers, arrivals.rates())

    return Contender(
        name,
        bench.waiting(read),
        lambda arrivals: arrivals.rows.require_rows(row_count),
        rows=row_count,
        line="fixed number of streams" if streams else name,
        at=streams or None,
    )


def _shares(arrivals: Arrivals, bytes_per_second: float) -> dict[str, float]:
    numbers = {
        "of the link": arrivals.bytes_per_second(0, arrivals.seconds) / bytes_per_second,
        "90 % from s": arrivals.reached_seconds(bytes_per_second),
    }
    if arrivals.seconds > 2 * _STEADY_SECONDS:
        steady = arrivals.bytes_per_second(_STEADY_SECONDS, arrivals.seconds)
        numbers[f"after {_STEADY_SECONDS:.0f} s"] = steady / bytes_per_second
    return numbers
