"""The blocking table writer: rows gathered on the caller's side of the bridge, sent over it in large batches."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Any, NoReturn

import pyarrow as pa

from aiopaiio import errors
from aiopaiio.client import Client
from aiopaiio.row_gatherer import RowGatherer
from aiopaiio.shared_upload import SharedUpload
from aiopaiio.writer import TableWriter as AsyncTableWriter
from paiio._bridge import bridge
from paiio._client import with_client
from paiio._turns import Turns

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["TableWriter", "commit_upload", "create_upload"]

_ROWS_AT_ONCE = 1 << 16
_BYTES_AT_ONCE = 4 << 20


class TableWriter:
    """Appends rows to a table, or to one partition of it, which is created if need be.

    Rows become visible, all at once, by :meth:`close`, or by leaving ``with``; leaving it by an exception, and a
    program that ends before, make nothing visible. ``slice_id`` tells writers apart: several that write one table or
    partition at the same time need different ones, or :class:`aiopaiio.SliceConflictError` is raised. Between hosts
    that is only seen when they share an ``upload``, made by :func:`create_upload`; then rows become visible by
    :func:`commit_upload`. ``overwrite`` replaces what the table or partition held.

    Threads may share a writer: the rows of a call stay together, and those of a thread in order. It does not survive
    ``fork``: open one in the child.
    """

    def __init__(
        self,
        table: str,
        slice_id: int = 0,
        *,
        overwrite: bool = False,
        upload: SharedUpload | None = None,
    ) -> None:
        self._closed = True

        async def open_it(client: Client) -> AsyncTableWriter:
            return await client.open_writer(table, slice_id, overwrite=overwrite, upload=upload)

        self._bridge = bridge()
        self._writer = with_client(self._bridge, open_it)
        self._bridge.keep(self._writer, self._writer.abort)
        self._closed = False
        self._turns = Turns()
        self._gatherer = RowGatherer(self._writer.table_schema.columns)
        self._failure: errors.Error | None = None

    def __repr__(self) -> str:
        state = "closed" if self._closed else "open"
        return f"<paiio.TableWriter, {self._gatherer.rows} rows gathered, {state}>"

    # --------------------------------------------------------------------------------------------------------- writing

    def write(
        self,
        values: Any,
        indices: Iterable[int] | None = None,
        allow_type_cast: bool = True,
        *,
        col_indices: Iterable[int] | None = None,
    ) -> None:
        """Append one row, or many.

        ``values``: a row (tuple, list or 1-D array of scalars) or rows (list, iterator or 1-D array of tuples, lists or
        records; 2-D array). ``indices`` (or ``col_indices``): the zero-based number of the column of each cell; None
        means the first columns in order. Columns not named become NULL. With ``allow_type_cast`` text is converted into
        numeric columns, and numbers into text.

        Raises :class:`aiopaiio.ValueTypeError` for a value that does not fit, and takes nothing of the call then. May
        raise the error of an earlier upload; then the writer is of no further use.
        """
        if col_indices is not None:
            if indices is not None:
                raise errors.UsageError("indices and col_indices are one parameter; give one of them")
            indices = col_indices
        # In a child the lock may be held by a thread that does not exist there.
        if self._bridge.forked:
            self._check_open()
        turns, gatherer = self._turns, self._gatherer
        try:
            # What Turns.run does; calling it would add a fifth to what a single row takes.
            with turns.lock:
                if turns.taken:
                    turns.refuse()
                turns.taken = True
                try:
                    if self._closed or self._failure is not None:
                        self._check_open()
                    gatherer.add(values, indices, allow_type_cast)
                    if gatherer.converted_rows >= _ROWS_AT_ONCE or gatherer.converted_bytes >= _BYTES_AT_ONCE:
                        self._send()
                finally:
                    turns.taken = False
        except Exception:
            raise
        except BaseException:
            # Ctrl-C, say: it is not known which rows of this call were taken.
            self._failure = self._failure or _interrupted()
            raise

    def _send(self) -> None:
        try:
            batches = self._gatherer.take()
            if batches:
                self._bridge.call(_send_all, self._writer, batches)
        except Exception as error:
            # Rows are missing now, and nothing may be committed any more.
            self._failure = error if isinstance(error, errors.Error) else _interrupted()
            raise

    # --------------------------------------------------------------------------------------------------------- closing

    def close(self) -> None:
        """Make the rows visible (in a shared upload: finish the slice). Harmless a second time.

        When it raises, nothing became visible, except for a :class:`aiopaiio.CommitError` that says it is not known.
        """
        if self._closed:
            return
        try:
            if self._bridge.forked:
                self._check_open()
            self._turns.run(self._commit)
        except BaseException:
            self.abort()
            raise

    def _commit(self) -> None:
        if self._closed:
            return  # by another thread, while this one waited
        self._check_open()
        self._send()
        self._bridge.call(self._writer.close)
        self._finish()

    def abort(self) -> None:
        """Give up: nothing of this writer becomes visible. Harmless a second time, and in a child process."""
        if self._closed:
            return
        if self._bridge.forked:
            self._closed = True
            return
        try:
            self._bridge.call(self._writer.abort)
        except errors.ClosedError:
            pass  # the program is ending, and nothing is committed by that
        finally:
            self._finish()

    def _finish(self) -> None:
        self._closed = True
        self._bridge.let_go(self._writer)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.abort()

    def __reduce__(self) -> NoReturn:
        raise errors.UsageError(
            "a writer holds connections and does not pickle; open a TableWriter in the other process"
        )

    def __del__(self) -> None:
        if getattr(self, "_closed", True) or self._bridge.forked:
            return
        self._closed = True
        warnings.warn(
            f"{self._writer!r} was not closed; none of its rows become visible",
            ResourceWarning,
            stacklevel=2,
            source=self,
        )
        self._bridge.post(self._writer.abort)
        self._bridge.let_go(self._writer)

    def _check_open(self) -> None:
        if self._bridge.forked:
            raise errors.ForkedError("this writer was opened before fork; open a TableWriter in the child process")
        if self._closed:
            raise errors.ClosedError("this writer is closed; open a new one")
        if self._failure is not None:
            raise self._failure


def _interrupted() -> errors.Error:
    return errors.UsageError(
        "a write was interrupted and rows may be missing, so this writer commits nothing; open another and write again"
    )


async def _send_all(writer: AsyncTableWriter, batches: list[pa.RecordBatch]) -> None:
    for batch in batches:
        await writer.write_batch(batch)


def create_upload(table: str, slice_count: int, *, overwrite: bool = False) -> SharedUpload:
    """Make an upload that ``slice_count`` writers share, in any processes or hosts: the value pickles.

    Each writes ``TableWriter(table, slice_id, upload=upload)`` and closes it; when all have, :func:`commit_upload`
    makes the rows of all slices visible at once.
    """

    async def create(client: Client) -> SharedUpload:
        return await client.create_upload(table, slice_count, overwrite=overwrite)

    return with_client(bridge(), create)


def commit_upload(upload: SharedUpload) -> None:
    """Make the rows of all slices of a shared upload visible.

    Raises :class:`aiopaiio.CommitError` as long as a slice was not written and closed.
    """

    async def commit(client: Client) -> None:
        await client.commit_upload(upload)

    with_client(bridge(), commit)
