"""The window of downloads ahead of a reader: several row ranges under way at once, delivered in row order."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from aiopaiio.batch_queue import BatchQueue
from aiopaiio.download import RangeDownload, RowSource
from aiopaiio.errors import ClosedError
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
    """Delivers the batches of ``rows`` in order while up to ``concurrency`` downloads run.

    The receiver always drains the first range of the window itself, and each range has a budget of its own: were it
    shared, later ranges could use it up and the first one would never end.
    """

    def __init__(
        self,
        source: RowSource,
        segments: Sequence[Segment],
        rows: RowRange,
        *,
        concurrency: int,
        stream_limit_rows: float = math.inf,
    ) -> None:
        self._source = source
        self._segments = segments
        self._rows = rows
        self._concurrency = concurrency
        self._stream_limit_rows = stream_limit_rows
        self._asked = rows.start
        self._window: deque[RangeDownload] = deque()
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
            try:
                batch = await self._window[0].queue.receive()
            except Exception as error:
                self._failure = error
                self.cancel()
                raise
            if batch is not None:
                return batch
            self._window.popleft().queue.leave()
            self._fill()
        return None

    async def aclose(self) -> None:
        """Stop all downloads and wait until they have let go of their connections."""
        self.cancel()
        await self._tasks.aclose()

    def cancel(self) -> None:
        """Stop all downloads without waiting for it."""
        self._failure = self._failure or ClosedError("closed while rows were awaited; open a new reader")
        for download in self._window:
            download.queue.leave()
        self._tasks.cancel()

    def _fill(self) -> None:
        while len(self._window) < self._concurrency and self._asked < self._rows.stop:
            segment = next(s for s in self._segments if s.rows.stop > self._asked)
            stop = min(segment.rows.stop, self._rows.stop)
            count = self._source.planner.range_rows(stop - self._asked, self._concurrency - len(self._window))
            local = RowRange(self._asked, self._asked + count).shift(-segment.first_row)
            queue = BatchQueue(self._source.planner.stream_limit_bytes, self._stream_limit_rows)
            download = RangeDownload(self._source, segment.snapshot, local, queue)
            self._window.append(download)
            self._tasks.start_soon(download.run, name=f"aiopaiio download {local}")
            self._asked += count
