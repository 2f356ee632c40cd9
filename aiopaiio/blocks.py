"""Rows on their way out: small batches gathered, encoded into blocks, blocks uploaded while the caller goes on."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field

import anyio
import anyio.lowlevel
import pyarrow as pa

from aiopaiio.arrow_stream import ArrowStreamDecoder, ArrowStreamEncoder
from aiopaiio.compression import compressor, decompressor
from aiopaiio.errors import ClosedError, ServerError
from aiopaiio.owned_tasks import OwnedTasks
from aiopaiio.record_encoder import RecordStreamEncoder
from aiopaiio.schema import Column, arrow_schema
from aiopaiio.sessions import UploadSession
from aiopaiio.tunnel import Tunnel, refuses_arrow

__all__ = ["Block", "BlockBuilder", "BlockUploads"]

logger = logging.getLogger(__name__)

_MESSAGE_ROWS = 1 << 14
_MESSAGE_BYTES = 1 << 20
_MOST_BLOCK_BYTES = 1 << 40


@dataclass(slots=True)
class Block:
    """One encoded block: its wire form, Arrow or record, whole, in pieces."""

    arrow: bool
    row_count: int = 0
    byte_count: int = 0
    pieces: list[bytes | memoryview] = field(default_factory=list)


class BlockBuilder:
    """Gathers batches into messages and messages into blocks of about ``block_bytes`` (before compression)."""

    def __init__(self, columns: tuple[Column, ...], *, arrow: bool, encoding: str, block_bytes: int) -> None:
        self._columns = columns
        self._schema = arrow_schema(columns)
        self.arrow = arrow
        """Whether rows go in the Arrow form as far as they can; may turn false at any time."""
        self._encoding = encoding
        self._block_bytes = block_bytes
        self._gathered: list[pa.RecordBatch] = []
        self._gathered_rows = 0
        self._gathered_bytes = 0
        self._start_block(arrow)

    def add(self, batch: pa.RecordBatch) -> Iterator[Block]:
        """Take a batch in table order; gives each block that became full by it."""
        if self._gathered and not batch.schema.equals(self._gathered[0].schema):
            yield from self._encode_gathered()
        self._gathered.append(batch)
        self._gathered_rows += batch.num_rows
        self._gathered_bytes += batch.nbytes
        if self._gathered_rows >= _MESSAGE_ROWS or self._gathered_bytes >= _MESSAGE_BYTES:
            yield from self._encode_gathered()

    def flush(self) -> Iterator[Block]:
        """Give what is left as the last block, if there are rows left."""
        yield from self._encode_gathered()
        if self._block.row_count:
            yield self._finish_block()

    def empty_block(self) -> Block:
        """A block without rows, in the right form."""
        return BlockBuilder(
            self._columns, arrow=self.arrow, encoding=self._encoding, block_bytes=self._block_bytes
        )._finish_block()

    def _encode_gathered(self) -> Iterator[Block]:
        if not self._gathered_rows:
            return
        # TIMESTAMPs beyond Arrow's nanoseconds have no Arrow wire form: their rows go into a block in record form.
        has_arrow_form = self._gathered[0].schema.equals(self._schema)
        table = pa.Table.from_batches(self._gathered)
        whole = table.combine_chunks().to_batches() if len(self._gathered) > 1 else self._gathered
        rows_at_once = max(1, self._gathered_rows * self._block_bytes // max(1, self._gathered_bytes))
        self._gathered, self._gathered_rows, self._gathered_bytes = [], 0, 0
        for batch in whole:
            # A batch much larger than a block is cut, so that no block is.
            for start in range(0, batch.num_rows, rows_at_once):
                arrow = self.arrow and has_arrow_form
                if arrow != self._block.arrow:
                    if self._block.row_count:
                        yield self._finish_block()
                    self._start_block(arrow)
                part = batch.slice(start, rows_at_once)
                self._append(self._encoder.encode(part))
                self._block.row_count += part.num_rows
                self._block.byte_count += part.nbytes
                if self._block.byte_count >= self._block_bytes:
                    yield self._finish_block()

    def _append(self, pieces: list[bytes | memoryview] | bytes) -> None:
        for piece in [pieces] if isinstance(pieces, bytes) else pieces:
            compressed = self._compressor.compress(piece) if self._compressor else piece
            if compressed:
                self._block.pieces.append(compressed)

    def _finish_block(self) -> Block:
        self._append(self._encoder.finish())
        if self._compressor:
            self._block.pieces.append(self._compressor.flush())
        finished = self._block
        self._start_block(finished.arrow)
        return finished

    def _start_block(self, arrow: bool) -> None:
        self._block = Block(arrow)
        self._encoder = ArrowStreamEncoder(self._schema) if arrow else RecordStreamEncoder(self._columns)
        self._compressor = None if self._encoding == "identity" else compressor(self._encoding)


def _in_record_form(block: Block, columns: tuple[Column, ...], encoding: str) -> Block:
    """The same rows as a block in record form."""
    decoder, undo = ArrowStreamDecoder(arrow_schema(columns)), decompressor(encoding)
    batches = [batch for piece in block.pieces for part in undo.decompress(piece) for batch in decoder.feed(part)]
    batches += decoder.finish()
    builder = BlockBuilder(columns, arrow=False, encoding=encoding, block_bytes=_MOST_BLOCK_BYTES)
    blocks = [block for batch in batches for block in builder.add(batch)]
    blocks += builder.flush()
    (again,) = blocks or [builder.empty_block()]
    return again


class BlockUploads:
    """Up to ``concurrency`` blocks of one upload session under way at once.

    With ``may_fall_back``, blocks in Arrow form that the service refuses are sent again as records. The first upload
    that fails for good is raised by the next :meth:`put` or by :meth:`finish`.
    """

    def __init__(
        self, tunnel: Tunnel, session: UploadSession, *, encoding: str, concurrency: int, may_fall_back: bool
    ) -> None:
        self._tunnel = tunnel
        self._session = session
        self._encoding = encoding
        self._slots = anyio.Semaphore(concurrency)
        self._concurrency = concurrency
        self._tasks = OwnedTasks(f"aiopaiio uploads {session.id}")
        self._may_fall_back = may_fall_back
        self._failure: Exception | None = None
        self.arrow_refused = False
        """Whether further blocks had better be in record form at once."""
        self.sent: dict[int, int] = {}
        """Block id to number of rows, of every block that was put."""

    async def put(self, block_id: int, block: Block) -> None:
        """Begin to upload a block; waits only while ``concurrency`` others are under way."""
        await self._tasks.start()
        await self._slots.acquire()
        if self._failure is not None:
            self._slots.release()
            raise self._failure
        self.sent[block_id] = block.row_count
        self._tasks.start_soon(self._upload, block_id, block)

    async def go_on(self) -> None:
        """Let what is under way take a step: encoding the next block keeps the event loop to itself."""
        if self._slots.value < self._concurrency:
            await anyio.lowlevel.checkpoint()

    async def finish(self) -> None:
        """Wait until every block is with the service."""
        for _ in range(self._concurrency):
            await self._slots.acquire()
        for _ in range(self._concurrency):
            self._slots.release()
        if self._failure is not None:
            raise self._failure

    async def aclose(self) -> None:
        """Stop what is under way and wait until its connections are let go."""
        self.cancel()
        await self._tasks.aclose()

    def cancel(self) -> None:
        """Stop what is under way without waiting for it."""
        self._failure = self._failure or ClosedError("this writer was closed while a block was on its way")
        self._tasks.cancel()

    async def _upload(self, block_id: int, block: Block) -> None:
        try:
            try:
                await self._put(block_id, block)
            except ServerError as error:
                if not (block.arrow and self._may_fall_back and refuses_arrow(error)):
                    raise
                logger.info("the service refuses the Arrow form (%s); writing records", error)
                self.arrow_refused = True
                await self._put(block_id, _in_record_form(block, self._session.schema.columns, self._encoding))
        except Exception as error:
            self._failure = self._failure or error
        finally:
            self._slots.release()

    async def _put(self, block_id: int, block: Block) -> None:
        await self._tunnel.put_block(self._session, block_id, block.pieces, arrow=block.arrow, encoding=self._encoding)
