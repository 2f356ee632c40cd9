"""Reading a table, or a slice of it, in row order."""

from __future__ import annotations

import asyncio
import os
import warnings
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, get_args

import pyarrow as pa

from aiopaiio import errors
from aiopaiio.arguments import one_of, whole_number
from aiopaiio.columns import ColumnPlan
from aiopaiio.download import RowSource
from aiopaiio.prefetch import Prefetch, Segment
from aiopaiio.range_planner import RangePlanner
from aiopaiio.schema import TableSchema, arrow_schema, arrow_wire_supported
from aiopaiio.sessions import DownloadSession
from aiopaiio.slicing import RowRange
from aiopaiio.snapshot import Snapshot
from aiopaiio.stream_count import StreamCount
from aiopaiio.table_path import TablePath
from aiopaiio.tunnel import Tunnel

if TYPE_CHECKING:
    from typing_extensions import Self

    from aiopaiio.records import Records

__all__ = ["END_OF_TABLE", "TableRead", "TableReader", "WireForm"]

WireForm = Literal["auto", "arrow", "record"]
"""The two wire forms of the Tunnel; ``auto`` takes Arrow where types and service allow it."""

END_OF_TABLE = "End of table reached!"


@dataclass(frozen=True, slots=True)
class TableRead:
    """What is read, as a value: it pickles, so that another process opens the very same rows without a new session.

    ``sessions`` are the download sessions, one for each partition named by ``path``; ``rows`` are absolute and
    half-open.
    """

    path: TablePath
    plan: ColumnPlan
    rows: RowRange
    sessions: tuple[DownloadSession, ...] = ()

    @property
    def table_row_count(self) -> int:
        """The rows of all sessions."""
        return sum(session.row_count for session in self.sessions)


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """How it is read: nothing here changes which rows and values come."""

    concurrency: int = 0
    capacity_rows: int = 0
    wire_form: WireForm = "auto"
    wide_timestamps: bool | Literal["auto"] = False
    encoding: str = "identity"
    memory_limit_bytes: int = field(default=256 << 20)

    def __post_init__(self) -> None:
        whole_number("concurrency", self.concurrency, least=0)
        whole_number("capacity_rows", self.capacity_rows, least=0)
        whole_number("memory_limit_bytes", self.memory_limit_bytes, least=1)
        one_of("wire_form", self.wire_form, get_args(WireForm))


class TableReader:
    """An open read, made by :meth:`aiopaiio.Client.open_reader`, for one task at a time of the loop that made it.

    Iterating gives ``pyarrow.RecordBatch``es, :meth:`read` records, :meth:`read_tuples` tuples; all move the same
    cursor. A transport fault is healed inside. An error that remains is raised at its row, after all rows before it,
    and again by every further read until :meth:`seek`.
    """

    def __init__(self, tunnel: Tunnel, read: TableRead, options: ReadOptions) -> None:
        self._tunnel = tunnel
        self._read = read
        self._options = options
        self._position = read.rows.start
        self._segments = _segments(tunnel, read)
        self._prefetch: Prefetch | None = None
        # Batches that came and are not handed out yet; a cancelled read leaves them here.
        self._waiting: deque[pa.RecordBatch] = deque()
        self._waiting_rows = 0
        self._busy = False
        self._closed = False
        self._process = os.getpid()
        self._loop = asyncio.get_running_loop()
        self._source = self._row_source()

    def __repr__(self) -> str:
        state = "closed" if self._closed else f"at row {self._position}"
        return f"<aiopaiio.TableReader {self._read.path}, rows {self._read.rows}, {state}>"

    # ----------------------------------------------------------------------------------------------------- description

    @property
    def schema(self) -> pa.Schema:
        """The schema of the batches: the columns asked for, in their order."""
        return self._read.plan.arrow_schema(wide_timestamps=self._options.wide_timestamps is True)

    @property
    def table_schema(self) -> TableSchema:
        """The columns asked for, in their order, with their MaxCompute types."""
        return TableSchema(self._read.plan.columns)

    @property
    def row_count(self) -> int:
        """The number of rows of the slice (of the table, when it is not sliced)."""
        return len(self._read.rows)

    @property
    def table_row_count(self) -> int:
        """The number of rows of the table, or of all its partitions that were named."""
        return self._read.table_row_count

    @property
    def start_pos(self) -> int:
        """The absolute number of the slice's first row."""
        return self._read.rows.start

    @property
    def end_pos(self) -> int:
        """One past the absolute number of the slice's last row."""
        return self._read.rows.stop

    @property
    def position(self) -> int:
        """The absolute number of the row that is read next."""
        return self._position

    @property
    def description(self) -> TableRead:
        """What is read, to be opened again elsewhere: it pickles, and shares the download sessions."""
        sessions = tuple(segment.snapshot.session for segment in self._segments)
        return replace(self._read, sessions=sessions)

    # ------------------------------------------------------------------------------------------------------- reading

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> pa.RecordBatch:
        batch = await self.read_batch()
        if batch is None:
            raise StopAsyncIteration
        return batch

    async def read_batch(self) -> pa.RecordBatch | None:
        """The next rows as they came, at least one; None at the end of the slice."""
        with self._reading():
            if not self._waiting and not await self._receive():
                return None
            return self._take_batch()

    async def read(self, num_records: int = 1) -> Records:
        """The next ``num_records`` rows, fewer at the end only; a NumPy record array whose elements are tuples.

        Raises :class:`~aiopaiio.errors.OutOfRange` when no row is left. When an error comes before so many rows are
        there, it is raised and the position stays: programs take fewer rows for the end. Smaller reads, or
        :meth:`read_batch`, still give the rows before the error.
        """
        from aiopaiio.records import records_from_batches

        taken = await self._take_rows(num_records)
        return records_from_batches(taken or [pa.RecordBatch.from_pylist([], schema=self.schema)])

    async def read_tuples(self, num_records: int = 1) -> list[tuple[Any, ...]]:
        """The same rows, ends and errors as :meth:`read`, as a list of tuples.

        It equals ``(await read(num_records)).tolist()``, and makes no array on the way.
        """
        from aiopaiio.row_tuples import tuples_from_batches

        return tuples_from_batches(await self._take_rows(num_records))

    async def seek(self, offset: int = 0) -> None:
        """Go to a row, counted from the slice's start; no row in between is downloaded.

        Raises :class:`~aiopaiio.errors.OutOfRange` beyond the end, and :class:`~aiopaiio.errors.SliceError` before
        the start.
        """
        # Counted from the slice's start, so nothing is before 0.
        offset = whole_number("offset", offset, least=0, error=errors.SliceError)
        with self._reading():
            target = self._read.rows.start + offset
            if target > self._read.rows.stop:
                raise errors.OutOfRange(f"row {offset} is beyond the end: the slice has {self.row_count} rows")
            healthy = self._prefetch is None or not self._prefetch.failed
            if healthy and self._position <= target <= self._position + self._waiting_rows:
                while target > self._position:
                    self._take_batch(target - self._position)
                return
            await self._stop()
            self._position = target

    # ------------------------------------------------------------------------------------------------------- closing

    async def aclose(self) -> None:
        """Stop reading and let go of every connection. Harmless a second time."""
        self._closed = True
        if self._process == os.getpid():
            await self._stop()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    def __del__(self) -> None:
        # Half-built readers have no attributes; a child process must not touch its parent's loop.
        if getattr(self, "_closed", True) or self._process != os.getpid() or self._prefetch is None:
            return
        warnings.warn(f"{self!r} was not closed", ResourceWarning, stacklevel=1)
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._prefetch.cancel)

    # ------------------------------------------------------------------------------------------------------- machinery

    @contextmanager
    def _reading(self) -> Iterator[None]:
        if self._process != os.getpid():
            raise errors.ForkedError(
                "this reader was opened before fork; open one in the child process (its description pickles)"
            )
        if self._closed:
            raise errors.ClosedError("this reader is closed; open a new one")
        if self._busy:
            raise errors.BusyError("another task is reading from this reader; give each task a reader of its own")
        self._busy = True
        try:
            yield
        finally:
            self._busy = False

    async def _receive(self) -> bool:
        """Wait for one more batch; False at the end of the slice."""
        if self._prefetch is None:
            rest = RowRange(self._position + self._waiting_rows, self._read.rows.stop)
            if not len(rest):
                return False
            self._prefetch = Prefetch(self._source, self._segments, rest, capacity_rows=self._options.capacity_rows)
        batch = await self._prefetch.next_batch()
        if batch is None:
            return False
        self._waiting.append(batch)
        self._waiting_rows += batch.num_rows
        return True

    async def _take_rows(self, num_records: int) -> list[pa.RecordBatch]:
        num_records = whole_number("num_records", num_records, least=0)
        with self._reading():
            while self._waiting_rows < num_records and await self._receive():
                pass
            if self._position >= self._read.rows.stop:
                raise errors.OutOfRange(END_OF_TABLE)
            taken = []
            missing = num_records
            while missing > 0 and self._waiting:
                batch = self._take_batch(missing)
                missing -= batch.num_rows
                taken.append(batch)
            return taken

    def _take_batch(self, most_rows: int | None = None) -> pa.RecordBatch:
        batch = self._waiting.popleft()
        if most_rows is not None and batch.num_rows > most_rows:
            self._waiting.appendleft(batch.slice(most_rows))
            batch = batch.slice(0, most_rows)
        self._waiting_rows -= batch.num_rows
        self._position += batch.num_rows
        return batch

    async def _stop(self) -> None:
        prefetch, self._prefetch = self._prefetch, None
        self._waiting.clear()
        self._waiting_rows = 0
        if prefetch is not None:
            await prefetch.aclose()

    def _row_source(self) -> RowSource:
        options, plan = self._options, self._read.plan
        has_timestamps = any(column.odps_type.holds("timestamp", "timestamp_ntz") for column in plan.wire_columns)
        # The Arrow form has no wide timestamps, so whoever insists on them reads records.
        needs_records = not arrow_wire_supported(plan.wire_columns) or (
            options.wide_timestamps is True and has_timestamps
        )
        if options.wire_form == "arrow" and needs_records:
            raise errors.ColumnError(
                "the Arrow wire form cannot carry these columns (INTERVAL_YEAR_MONTH or wide timestamps); "
                "use wire_form='auto'"
            )
        wire_schema = arrow_schema(plan.wire_columns)
        records = needs_records or options.wire_form == "record"
        planner = RangePlanner(wire_schema, options.memory_limit_bytes, records=records)
        return RowSource(
            tunnel=self._tunnel,
            plan=plan,
            wire_schema=wire_schema,
            planner=planner,
            streams=StreamCount(options.concurrency, planner.most_streams),
            may_fall_back=options.wire_form == "auto",
            wide_timestamps=bool(options.wide_timestamps),
            encoding=options.encoding,
        )


def _segments(tunnel: Tunnel, read: TableRead) -> list[Segment]:
    segments, first_row = [], 0
    for session in read.sessions:
        segments.append(Segment(Snapshot(tunnel, session), first_row))
        first_row += session.row_count
    return segments
