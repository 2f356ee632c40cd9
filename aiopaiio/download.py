"""One row range on its way: asked for, verified, healed from the first row not yet delivered, put into its queue."""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import anyio
import anyio.to_thread
import pyarrow as pa

from aiopaiio import errors
from aiopaiio.arrow_stream import ArrowStreamDecoder
from aiopaiio.batch_queue import BatchQueue, ReceiverLeft
from aiopaiio.columns import ColumnPlan
from aiopaiio.compression import decompressor
from aiopaiio.http import Body
from aiopaiio.range_planner import SMALLEST_RANGE_BYTES, RangePlanner
from aiopaiio.read_ahead import read_ahead
from aiopaiio.record_decoder import RecordStreamDecoder
from aiopaiio.sessions import DownloadSession
from aiopaiio.slicing import RowRange
from aiopaiio.snapshot import Snapshot
from aiopaiio.stream_count import StreamCount
from aiopaiio.tunnel import Tunnel, refuses_arrow

__all__ = ["RangeDownload", "RowSource"]

logger = logging.getLogger(__name__)

_DECODE_IN_THREAD_BYTES = 1 << 16
_DECODE_IN_THREAD_COLUMNS = 32
"""Fewer bytes or columns are decoded in the time that another thread takes to begin."""

_FRUITLESS_RENEWALS = 3


@dataclass(slots=True)
class RowSource:
    """What all row ranges of one read share."""

    tunnel: Tunnel
    plan: ColumnPlan
    wire_schema: pa.Schema
    planner: RangePlanner
    streams: StreamCount
    may_fall_back: bool
    """Whether records are asked for when the service refuses the Arrow form."""
    wide_timestamps: bool
    """Whether TIMESTAMPs of the record form keep their seconds and nanoseconds apart."""
    encoding: str
    # One at a time: two that decode records would mostly wait for each other, and all others for both.
    decoding: anyio.CapacityLimiter = field(default_factory=lambda: anyio.CapacityLimiter(1))

    @property
    def arrow(self) -> bool:
        """Whether rows are asked for in the Arrow form, not as records."""
        return not self.planner.records

    @property
    def batch_bytes(self) -> int:
        """The largest batch that a stream may take in."""
        return self.planner.batch_bytes(self.streams.streams)

    def observe(self, row_count: int, byte_count: int) -> None:
        """Learn how wide rows are, and for how many streams there is memory."""
        self.planner.observe(row_count, byte_count)
        self.streams.most = self.planner.most_streams


class RangeDownload:
    """Delivers exactly the rows of one range, in order, or one error after those that came before it.

    ``progress`` is called whenever bytes came. When ``ends_early`` says so and much is missing, the range ends
    after the rows that came, at :attr:`stop`, and the rest is left to others.
    """

    def __init__(
        self,
        source: RowSource,
        snapshot: Snapshot,
        rows: RowRange,
        queue: BatchQueue,
        *,
        progress: Callable[[], None] = lambda: None,
        ends_early: Callable[[], bool] | None = None,
    ) -> None:
        self._source = source
        self._snapshot = snapshot
        self._rows = rows
        self._position = rows.start
        self._ask_rows = len(rows)
        self._renewals = 0
        self._progress = progress
        self._wants_to_end = ends_early
        self._waits_for_head = False
        self.at_head = anyio.Event()
        """Set when the rows of this range are the next ones to be delivered."""
        self.queue = queue

    def __repr__(self) -> str:
        return f"<RangeDownload {self._rows} at {self._position}, {self.queue!r}>"

    @property
    def stop(self) -> int:
        """One past the last row of the range."""
        return self._rows.stop

    async def run(self) -> None:
        """Fill the queue to the end of the range. Errors travel in the queue; only cancellation leaves here."""
        try:
            while self._position < self._rows.stop:
                if self._waits_for_head:
                    await self.at_head.wait()
                await self._advance()
                if self._ends_early():
                    self._rows = RowRange(self._rows.start, self._position)
        except errors.Error as error:
            session = self._snapshot.session
            self.queue.fail(
                error.with_context(
                    table=session.table.name,
                    partition=str(session.partition) if session.partition else None,
                    session=session.id,
                    rows=str(self._rows),
                )
            )
        except ReceiverLeft:
            pass  # whoever waits for room is woken before this task learns that it is cancelled
        except Exception as error:
            # A defect: it must not leave the reader waiting for this range for ever.
            self.queue.fail(error)
        else:
            self.queue.end()

    async def _advance(self) -> None:
        """Ask until at least one more row is delivered; time without progress is bounded by the retry policy."""
        policy = self._source.tunnel.retry
        async for attempt in policy.retrying(logger, self._describe):
            with attempt:
                before = self._position
                session = self._snapshot.session
                try:
                    await self._ask(session)
                except errors.SessionExpired:
                    self._renewals += 1
                    if self._renewals > _FRUITLESS_RENEWALS:
                        raise
                    await self._snapshot.renew(session)
                except errors.Error as error:
                    if isinstance(error, errors.Throttled):
                        self._source.streams.refused(time.monotonic())
                    if isinstance(error, errors.ConnectFailed):
                        self._source.tunnel.service.forget_tunnel_endpoint(session.table.project)
                    if self._fall_back(error):
                        continue
                    if self._position == before or not error.retryable:
                        raise
                    self._renewals = 0
                    logger.warning("%s: going on after: %s", self._describe(), error)

    async def _ask(self, session: DownloadSession) -> None:
        source = self._source
        asked = RowRange(self._position, min(self._rows.stop, self._position + self._ask_rows))
        request = source.tunnel.read_rows(
            session,
            asked,
            None if source.plan.wire_columns == session.schema.columns else source.plan.wire_columns,
            arrow=source.arrow,
            encoding=source.encoding,
            tunnel_endpoint=await source.tunnel.service.tunnel_endpoint(session.table.project),
        )
        asked_at = time.monotonic()
        source.streams.asked()
        try:
            async with request as body:
                began_at = time.monotonic()
                source.streams.began(began_at - asked_at, began_at)
                try:
                    if source.arrow:
                        await self._receive_arrow(body, asked)
                    else:
                        await self._receive_records(body, asked)
                except errors.Error as error:
                    raise error.with_context(rows=str(asked), request_id=body.request_id) from error.__cause__
                finally:
                    source.streams.stopped(time.monotonic())
        finally:
            source.streams.ended()

    async def _receive_arrow(self, body: Body, asked: RowRange) -> None:
        decoder = ArrowStreamDecoder(self._source.wire_schema)
        in_frames = True
        try:
            async for piece in _decoded(body):
                self._received(len(piece))
                for batch in decoder.feed(piece):
                    await self._deliver(batch, asked)
                if self._is_too_large(decoder.next_message) or self._ends_early():
                    return
            in_frames = False
            for batch in decoder.finish():
                await self._deliver(batch, asked)
            if self._position != asked.stop:
                raise errors.RowCountError(f"{self._position - asked.start} rows came of the {len(asked)} asked for")
        except errors.DataError as error:
            # A cut or damaged frame leaves a proven prefix, and the rest is asked for again. A stream that
            # contradicts itself proves nothing about the rows before: if some of them are out already, only the
            # caller can start over.
            proven = isinstance(error, (errors.TruncatedStreamError, errors.DecompressionError)) or (
                isinstance(error, errors.ChecksumError) and (in_frames or self._position < asked.stop)
            )
            if not proven:
                self._require_nothing_delivered(asked, error)
            raise

    async def _receive_records(self, body: Body, asked: RowRange) -> None:
        source, limit_bytes = self._source, self._source.batch_bytes
        decoder = RecordStreamDecoder(
            source.plan.wire_columns,
            wide_timestamps=source.wide_timestamps,
            # One gathered, one being decoded.
            gather_limit_bytes=max(1, limit_bytes // 2),
        )
        # The last rows of the range are kept back until the footer was right, so that no range ends without one.
        last: list[pa.RecordBatch] = []

        async def deliver(batches: list[pa.RecordBatch]) -> None:
            for batch in batches:
                if last or self._position + batch.num_rows >= asked.stop:
                    last.append(batch)
                else:
                    await self._deliver(batch, asked)

        failure: errors.Error | None = None
        try:
            async with read_ahead(self._gathered(body, decoder.wanted_bytes)) as chunks:
                async for chunk in chunks:
                    decoder.add(chunk)
                    chunk.clear()  # others hold it too, while it is decoded and its rows wait for room
                    await deliver(await self._decode(decoder, decoder.read))
                    if self._ends_early():
                        return
                    if decoder.pending_bytes > limit_bytes and not self.at_head.is_set():
                        # A record that breaks the memory bound: taken in whatever its size, but only at the head.
                        self._waits_for_head = True
                        return
        except errors.Error as error:
            failure = error
        try:
            last += await self._decode(decoder, decoder.finish)
            row_count = self._position - asked.start + sum(batch.num_rows for batch in last)
            if row_count != len(asked):
                raise errors.RowCountError(f"{row_count} rows came of the {len(asked)} asked for")
        except errors.DataError as error:
            if isinstance(error, errors.RowCountError) or (
                decoder.at_footer and not isinstance(error, errors.TruncatedStreamError)
            ):
                self._require_nothing_delivered(asked, error)
                raise
            # Records have checksums of their own, so those before a cut or a damage are right.
            await deliver(decoder.take())
            if failure is not None:
                raise failure from failure.__cause__
            raise
        for batch in last:
            await self._deliver(batch, asked)

    async def _gathered(self, body: Body, byte_count: int) -> AsyncIterator[bytearray]:
        """The body in chunks of at least so many bytes; before an error and at the end, of fewer."""
        chunk = bytearray()
        try:
            async for piece in _decoded(body):
                self._received(len(piece))
                chunk += piece
                if len(chunk) >= byte_count:
                    yield chunk
                    chunk = bytearray()
        except errors.Error:
            yield chunk
            raise
        yield chunk

    async def _decode(
        self, decoder: RecordStreamDecoder, step: Callable[[], list[pa.RecordBatch]]
    ) -> list[pa.RecordBatch]:
        if decoder.pending_bytes < _DECODE_IN_THREAD_BYTES and len(decoder.schema) < _DECODE_IN_THREAD_COLUMNS:
            return step()
        # Meanwhile the next chunk is gathered.
        return await anyio.to_thread.run_sync(step, limiter=self._source.decoding)

    def _require_nothing_delivered(self, asked: RowRange, error: errors.Error) -> None:
        """An answer contradicted itself, which says nothing good of its rows either."""
        if self._position > asked.start:
            raise errors.UnprovenRowsError(
                f"rows {asked.start} to {self._position} were delivered before the answer contradicted itself: "
                f"{error.message}; discard them and read again",
            ) from error

    async def _deliver(self, batch: pa.RecordBatch, asked: RowRange) -> None:
        if self._position + batch.num_rows > asked.stop:
            raise errors.RowCountError(f"more rows came than the {len(asked)} asked for")
        if not batch.num_rows:
            return
        # Not nbytes, which walks every buffer of every column.
        byte_count = batch.get_total_buffer_size()
        self._source.observe(batch.num_rows, byte_count)
        session = self._snapshot.session
        await self.queue.send(self._source.plan.arrange(batch, session.partition), byte_count)
        self._position += batch.num_rows

    def _received(self, byte_count: int) -> None:
        self._source.streams.received(byte_count, time.monotonic())
        self._progress()

    def _ends_early(self) -> bool:
        if self._wants_to_end is None or not self._wants_to_end():
            return False
        rest = (self._rows.stop - self._position) * self._source.planner.bytes_per_row
        return rest > SMALLEST_RANGE_BYTES

    def _is_too_large(self, message: tuple[int, int] | None) -> bool:
        """Whether the batch now arriving breaks the memory bound; then fewer rows are asked for at once.

        A single row is taken in whatever its size, but only at the head: ranges behind wait until they are.
        """
        limit = self._source.batch_bytes
        if message is None or message[1] <= limit or (message[0] <= 1 and self.at_head.is_set()):
            return False
        row_count, byte_count = message
        self._ask_rows = max(1, row_count * limit // byte_count)
        self._waits_for_head = row_count <= 1
        self._source.observe(row_count, byte_count)
        return True

    def _fall_back(self, error: errors.Error) -> bool:
        source = self._source
        if not (source.arrow and source.may_fall_back and refuses_arrow(error)):
            return False
        logger.info("%s: the service refuses the Arrow form (%s); reading records", self._describe(), error)
        source.planner.records = True
        return True

    def _describe(self) -> str:
        session = self._snapshot.session
        return f"rows [{self._position}, {self._rows.stop}) of {session.table.name}"


async def _decoded(body: Body) -> AsyncIterator[bytes]:
    """The pieces of a body with its compression undone."""
    if body.content_encoding == "identity":
        async for piece in body.pieces():
            yield piece
        return
    undo = decompressor(body.content_encoding)
    async for piece in body.pieces():
        for part in undo.decompress(piece):
            yield part
    undo.finish()
