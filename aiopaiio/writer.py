"""Writing rows into a table: gathered, uploaded in blocks while the caller goes on, made visible by one commit."""

from __future__ import annotations

import asyncio
import os
import warnings
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, get_args

import pyarrow as pa

from aiopaiio import errors
from aiopaiio.arguments import one_of, whole_number
from aiopaiio.blocks import Block, BlockBuilder, BlockUploads
from aiopaiio.cells import rows_to_batch
from aiopaiio.commit import check_blocks, commit_once
from aiopaiio.conform import as_batches, conform
from aiopaiio.reader import WireForm
from aiopaiio.schema import TableSchema, arrow_wire_supported
from aiopaiio.sessions import UploadSession
from aiopaiio.shared_upload import BLOCK_IDS, SharedUpload
from aiopaiio.slice_lock import SliceLock
from aiopaiio.tunnel import Tunnel

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["TableWriter", "WriteOptions"]

AUTOMATIC_CONCURRENCY = 4
BLOCK_BYTES = 16 << 20
_SERVICE_LIMIT_BLOCK_BYTES = 100 << 30


@dataclass(frozen=True, slots=True)
class WriteOptions:
    """How it is written: nothing here changes which rows and values go."""

    concurrency: int = 0
    wire_form: WireForm = "auto"
    encoding: str = "identity"
    block_bytes: int = BLOCK_BYTES

    def __post_init__(self) -> None:
        whole_number("concurrency", self.concurrency, least=0)
        whole_number("block_bytes", self.block_bytes, least=1)
        one_of("wire_form", self.wire_form, get_args(WireForm))
        if not 0 < self.block_bytes <= _SERVICE_LIMIT_BLOCK_BYTES:
            raise errors.UsageError(f"block_bytes must be 1 to {_SERVICE_LIMIT_BLOCK_BYTES}, not {self.block_bytes}")


class TableWriter:
    """An open write. Made by :meth:`aiopaiio.Client.open_writer`.

    Rows are appended and become visible, all at once, by :meth:`close` (or by leaving ``async with``); in a shared
    upload, by :meth:`aiopaiio.Client.commit_upload`. :meth:`abort`, or leaving ``async with`` by an exception, makes
    nothing visible.
    """

    def __init__(
        self,
        tunnel: Tunnel,
        session: UploadSession,
        options: WriteOptions,
        *,
        slice_id: int,
        lock: SliceLock,
        shared: SharedUpload | None = None,
    ) -> None:
        self._tunnel = tunnel
        self._session = session
        self._lock = lock
        self._slice_id = slice_id
        self._shared = shared
        ids = shared.block_ids(slice_id) if shared else None
        self._next_block_id = ids.first if ids else 0
        self._block_id_limit = ids.first_claim if ids else BLOCK_IDS
        columns = session.schema.columns
        arrow_possible = arrow_wire_supported(columns)
        if options.wire_form == "arrow" and not arrow_possible:
            raise errors.ColumnError("the Arrow wire form cannot carry INTERVAL_YEAR_MONTH; use wire_form='auto'")
        self._builder = BlockBuilder(
            columns,
            arrow=arrow_possible and options.wire_form != "record",
            encoding=options.encoding,
            block_bytes=options.block_bytes,
        )
        self._uploads = BlockUploads(
            tunnel,
            session,
            encoding=options.encoding,
            concurrency=options.concurrency or AUTOMATIC_CONCURRENCY,
            may_fall_back=options.wire_form == "auto",
        )
        # Blocks to be, in order: a cancelled write leaves its own here, for the next call to send.
        self._unsent: deque[Iterator[Block]] = deque()
        self._block: Block | None = None
        self._failure: Exception | None = None
        self._rows_written = 0
        self._busy = False
        self._closed = False
        self._process = os.getpid()
        self._loop = asyncio.get_running_loop()

    def __repr__(self) -> str:
        state = "closed" if self._closed else "open"
        return (
            f"<aiopaiio.TableWriter {self._session.table}, slice {self._slice_id}, {self._rows_written} rows, {state}>"
        )

    @property
    def table_schema(self) -> TableSchema:
        """The columns of the table with their MaxCompute types."""
        return self._session.schema

    @property
    def rows_written(self) -> int:
        """Rows taken so far, also by a call that was cancelled; exactly these become visible by the commit."""
        return self._rows_written

    # ------------------------------------------------------------------------------------------------------- writing

    async def write(self, values: Any, indices: Iterable[int] | None = None, *, allow_type_cast: bool = True) -> None:
        """Append one row, or many.

        ``values``: a row (tuple, list, 1-D array, record) or rows (list, iterator, 2-D array, structured array).
        ``indices``: for each cell the zero-based number of its column; None means the first columns in order. Columns
        not named become NULL. Text is converted into numeric columns, and numbers into text, unless
        ``allow_type_cast`` is false. A value that does not fit raises :class:`~aiopaiio.errors.ValueTypeError`, and
        nothing of the call is taken.
        """
        with self._writing():
            batch = rows_to_batch(values, indices, self._session.schema.columns, allow_type_cast=allow_type_cast)
            await self._add(batch)

    async def write_batch(self, batch: Any) -> None:
        """Append the rows of a ``pyarrow.RecordBatch``, a ``Table``, or anything else with the Arrow C interface.

        Columns are matched by name, in any case; missing ones become NULL. Raises
        :class:`~aiopaiio.errors.SchemaMismatchError` for a column that is unknown or does not fit without loss.
        """
        with self._writing():
            for part in as_batches(batch):
                await self._add(conform(part, self._session.schema))

    async def close(self) -> None:
        """Send what is left and make all rows visible by one commit. Harmless a second time.

        When it raises, nothing became visible, except for a :class:`~aiopaiio.errors.CommitError` that says it is not
        known.
        """
        if self._closed:
            return
        self._check_open()
        if self._busy:
            await self.abort()
            raise errors.BusyError("closed while another task was writing; nothing was committed")
        self._closed = True
        try:
            if self._failure is not None:
                raise self._failure
            await self._send(self._builder.flush())
            await self._uploads.finish()
            if self._shared is None:
                listed = await self._tunnel.reload_upload(self._session)
                check_blocks(self._session, {b.id: b.row_count for b in listed.blocks}, self._uploads.sent)
                await commit_once(self._tunnel, self._session)
            else:
                await self._close_slice(self._shared)
        finally:
            await self._release()

    async def abort(self) -> None:
        """Give up: nothing of this writer becomes visible. Harmless a second time, and after :meth:`close`."""
        if not self._closed:
            self._closed = True
            await self._release()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is None:
            await self.close()
        else:
            await self.abort()

    def __del__(self) -> None:
        if getattr(self, "_closed", True) or self._process != os.getpid():
            return
        warnings.warn(f"{self!r} was not closed; none of its rows become visible", ResourceWarning, stacklevel=1)
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._uploads.cancel)
        self._lock.release()

    # ------------------------------------------------------------------------------------------------------- machinery

    def _check_open(self) -> None:
        if self._process != os.getpid():
            raise errors.ForkedError("this writer was opened before fork; open one in the child process")
        if self._closed:
            raise errors.ClosedError("this writer is closed; open a new one")

    @contextmanager
    def _writing(self) -> Iterator[None]:
        self._check_open()
        if self._busy:
            raise errors.BusyError("another task is writing to this writer; give each task a writer of its own")
        if self._failure is not None:
            raise self._failure
        self._busy = True
        try:
            yield
        finally:
            self._busy = False

    async def _add(self, batch: pa.RecordBatch) -> None:
        self._rows_written += batch.num_rows
        await self._send(self._builder.add(batch))

    async def _send(self, blocks: Iterator[Block]) -> None:
        """Hand over what earlier calls left and then ``blocks``. An error stays: after it rows are missing."""
        self._unsent.append(blocks)
        try:
            while self._unsent:
                await self._uploads.go_on()
                self._builder.arrow &= not self._uploads.arrow_refused
                self._block = self._block or next(self._unsent[0], None)
                if self._block is None:
                    self._unsent.popleft()
                    continue
                if self._next_block_id >= self._block_id_limit:
                    raise errors.UsageError("this upload has used up its block ids; write with a larger block_bytes")
                await self._uploads.put(self._next_block_id, self._block)
                # Whatever becomes of the upload, the id is never given to other rows.
                self._next_block_id += 1
                self._block = None
        except Exception as error:
            self._failure = error
            raise

    async def claim_slice(self, shared: SharedUpload) -> None:
        """Say on the service that this writer has the slice, and fail if another one has it."""
        listed = await self._tunnel.reload_upload(self._session)
        shared.check_unclaimed(self._slice_id, listed.blocks)
        claims = shared.block_ids(self._slice_id).choose_claims()
        for claim in claims:
            await self._uploads.put(claim, self._builder.empty_block())
        await self._uploads.finish()
        listed = await self._tunnel.reload_upload(self._session)
        shared.check_unclaimed(self._slice_id, listed.blocks, claims)

    async def _close_slice(self, shared: SharedUpload) -> None:
        ids = shared.block_ids(self._slice_id)
        listed = await self._tunnel.reload_upload(self._session)
        own = ids.own(listed.blocks)
        if own.keys() - self._uploads.sent.keys():
            raise errors.SliceConflictError(
                f"another writer wrote slice {self._slice_id} of this shared upload at the same time; "
                "commit nothing of it and make a new one",
                session=self._session.id,
            )
        check_blocks(self._session, own, self._uploads.sent)
        await self._uploads.put(ids.last, self._builder.empty_block())
        await self._uploads.finish()

    async def _release(self) -> None:
        try:
            await self._uploads.aclose()
        finally:
            self._lock.release()
