"""The window of downloads ahead of a reader: several row ranges under way at once, delivered in row order."""

from __future__ import annotations

import math
import time
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pyarrow as pa

from aiopaiio.batch_queue import BatchQueue
from aiopaiio.download import RangeDownload, RowSource
from aiopaiio.errors import ClosedError, RowCountError
from aiopaiio.owned_tasks import OwnedTasks
from aiopaiio.slicing import RowRange
from aiopaiio.snapshot import Snapshot

__all__ = ["Prefetch", "Segment"]


@dataclass(frozen=True, slots=True)
class Segment:
    """The rows of one download session within a read of several; its row 0 is row ``first_row`` of the read."""

    snapshot: Snapshot
    first_row: int

    @property
    def rows(self) -> RowRange:
        """The rows of the read that this segment holds."""
        return RowRange(self.first_row, self.first_row + self.snapshot.session.row_count)


class Prefetch:
    """Delivers the batches of ``rows`` in order while several downloads run.

    The receiver always drains the first range of the window itself, and each range has a budget of its own: were it
    shared, later ranges could use it up and the first one would never end. A range whose rows all came makes room for
    another download, within the memory; ``capacity_rows`` (0: no bound) are held at most by all ranges together.

    As long as one stream is enough, much is asked for at once, and nothing behind it; when it no longer is, that range
    ends after the rows that came, and several share the rest.
    """

    def __init__(
        self, source: RowSource, segments: Sequence[Segment], rows: RowRange, *, capacity_rows: int = 0
    ) -> None:
        self._source = source
        self._segments = segments
        self._segment_stops = [segment.rows.stop for segment in segments]
        self._rows = rows
        self._capacity_rows = capacity_rows
        self._asked = rows.start
        self._range_number = 0
        self._window: deque[_Slot] = deque()
        self._active = 0
        # The range asked for last, while it may end before the row that was planned.
        self._open_ended: RangeDownload | None = None
        self._tasks = OwnedTasks(f"aiopaiio prefetch {rows}", self._fill)
        self._failure: Exception | None = None

    def __repr__(self) -> str:
        state = "failed" if self._failure else "running" if self._window else "not started, or at its end"
        return f"<Prefetch {state}, {self._rows} asked up to {self._asked}, window {list(self._window)}>"

    @property
    def failed(self) -> bool:
        """Whether no further batch comes."""
        return self._failure is not None

    async def next_batch(self) -> pa.RecordBatch | None:
        """The next batch, or None behind the last. An error is raised at its row, and again by every later call."""
        if self._failure is None:
            await self._tasks.start()
        if self._failure is not None:
            raise self._failure
        while self._window:
            head, began = self._window[0].queue, time.monotonic()
            try:
                batch = await head.receive()
            except Exception as error:
                self._failure = error
                self.cancel()
                raise
            self._source.streams.waited(time.monotonic() - began)
            if head.drained:
                self._fill()
            if batch is not None:
                return batch
        if self._asked < self._rows.stop:
            raise RowCountError(f"rows {self._asked} to {self._rows.stop} were never asked for: a defect of the reader")
        return None

    async def aclose(self) -> None:
        """Stop all downloads and wait until they have let go of their connections."""
        self.cancel()
        await self._tasks.aclose()

    def cancel(self) -> None:
        """Stop all downloads without waiting for it."""
        self._failure = self._failure or ClosedError("closed while rows were awaited; open a new reader")
        for slot in self._window:
            slot.queue.leave()
        self._tasks.cancel()

    def _fill(self) -> None:
        """Start downloads as long as there are rows to ask for, streams to bring them, and memory to hold them."""
        while self._window and self._window[0].queue.drained:
            self._window.popleft().queue.leave()
        while (
            self._failure is None
            and self._asked < self._rows.stop
            and self._active < self._source.streams.streams
            and self._open_ended is None
        ):
            segment = self._segments[bisect_right(self._segment_stops, self._asked)]
            planned = self._plan_range(min(segment.rows.stop, self._rows.stop) - self._asked)
            if self._window and not self._has_room(planned.reserved_bytes):
                break
            self._start(segment, planned)
        if self._window:
            self._window[0].download.at_head.set()

    def _plan_range(self, remaining: int) -> _PlannedRange:
        streams, planner = self._source.streams, self._source.planner
        if self._range_number == 0:
            rows = planner.first_rows(remaining)
            # Once a batch came, rows may turn out to be much wider than was thought.
            ends_early = None if planner.knows_widths else self._knows_widths
            return _PlannedRange(rows, planner.reserve_bytes(rows), ends_early)
        rows = planner.range_rows(
            remaining,
            number=self._range_number,
            streams=streams.streams,
            idle_streams=streams.streams - self._active,
            stream_bytes_per_second=streams.stream_bytes_per_second,
        )
        if streams.one_is_enough and (long := planner.long_range_rows(remaining)) > rows:
            reserved = planner.reserve_bytes_of_long(long)
            return _PlannedRange(long, reserved, lambda: not streams.one_is_enough, counts=False)
        return _PlannedRange(rows, planner.reserve_bytes(rows))

    def _knows_widths(self) -> bool:
        return self._source.planner.knows_widths

    def _has_room(self, byte_count: int) -> bool:
        if self._capacity_rows and len(self._window) >= self._source.streams.streams:
            return False
        reserved = sum(slot.reserved_bytes for slot in self._window)
        return reserved + byte_count <= self._source.planner.window_bytes

    def _start(self, segment: Segment, planned: _PlannedRange) -> None:
        source = self._source
        rows = RowRange(self._asked, self._asked + planned.row_count).shift(-segment.first_row)
        most_rows = -(-self._capacity_rows // source.streams.streams) if self._capacity_rows else math.inf
        queue = BatchQueue(planned.reserved_bytes, most_rows)
        download = RangeDownload(
            source, segment.snapshot, rows, queue, progress=self._fill, ends_early=planned.ends_early
        )
        if planned.ends_early is not None:
            self._open_ended = download
        self._window.append(_Slot(download, queue, planned.reserved_bytes))
        self._asked += planned.row_count
        self._range_number += planned.counts
        self._active += 1
        self._tasks.start_soon(self._run, download, segment.first_row, name=f"aiopaiio download {rows}")

    async def _run(self, download: RangeDownload, first_row: int) -> None:
        # Left by cancellation only when all of it ends.
        await download.run()
        self._active -= 1
        if download is self._open_ended:
            self._asked, self._open_ended = first_row + download.stop, None
        self._fill()


@dataclass(frozen=True, slots=True)
class _PlannedRange:
    """How many rows to ask for, in how much memory, and what says, if anything, that fewer will do.

    ``counts``: the next one may be longer for it.
    """

    row_count: int
    reserved_bytes: int
    ends_early: Callable[[], bool] | None = None
    counts: bool = True


@dataclass(frozen=True, slots=True)
class _Slot:
    """A range of the window and the memory set aside for it."""

    download: RangeDownload
    queue: BatchQueue
    reserved_bytes: int
