"""The blocking table reader: checks, the bridge, and the batch at hand on the caller's side of it."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import numpy as np
import pyarrow as pa

from aiopaiio import errors
from aiopaiio.arguments import whole_number
from aiopaiio.client import Client
from aiopaiio.reader import END_OF_TABLE
from aiopaiio.reader import TableReader as AsyncTableReader
from aiopaiio.records import RecordCursor, Records, StringAs
from aiopaiio.schema import Column
from paiio._bridge import bridge
from paiio._client import with_client
from paiio._end_of_table import OutOfRangeException
from paiio._turns import Turns

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["TableReader"]

_ITERATION_ROWS = 1024
_STRING_AS_VARIABLE = "PAIIO_STRING_AS"
_T = TypeVar("_T")

_INTEGERS = ("tinyint", "smallint", "int", "bigint", "datetime", "interval_year_month")
_PYTHON_TYPES = {**dict.fromkeys(_INTEGERS, int), "float": float, "double": float, "boolean": bool}


class TableReader:
    """Reads the rows of a table, or of a slice of it, in order.

    ``table``: ``odps://PROJECT/tables/TABLE[/KEY=VALUE...][?start=A&end=B]``, several partitions joined by ``&``.
    ``selected_cols`` / ``excluded_cols``: column names, comma-separated; not both; none means all columns but the
    partition columns. ``slice_id`` of ``slice_count`` contiguous slices. ``num_threads``: downloads at once, 0 to 64
    (0: automatic). ``capacity``: rows held ahead at most (0: by memory). ``string_as``: STRING cells as ``"str"`` or
    ``"bytes"``; if not given, as the environment variable ``PAIIO_STRING_AS`` says, else ``"str"``.

    The configuration is the file named by ``ODPS_CONFIG_FILE_PATH`` at this moment (or see
    :func:`aiopaiio.load_config`). Raises :class:`aiopaiio.UsageError` for wrong arguments,
    :class:`aiopaiio.ServerError` when the service refuses, :class:`aiopaiio.TransportError` when it cannot be reached.

    Threads may share a reader: each call gives its thread the next rows, which no other gets. It does not survive
    ``fork``: open one in the child.
    """

    # What other names of this interface have otherwise.
    _end_of_table = OutOfRangeException
    _usual_string_as: StringAs = "str"

    def __init__(
        self,
        table: str,
        selected_cols: str = "",
        excluded_cols: str = "",
        slice_id: int = 0,
        slice_count: int = 1,
        num_threads: int = 0,
        capacity: int = 0,
        *,
        string_as: StringAs | None = None,
    ) -> None:
        self._closed = True
        string_as = _string_as(string_as, self._usual_string_as)
        concurrency = whole_number("num_threads", num_threads, least=0)
        capacity_rows = whole_number("capacity", capacity, least=0)

        async def open_it(client: Client) -> AsyncTableReader:
            return await client.open_reader(
                table,
                selected_cols,
                excluded_cols,
                slice_id,
                slice_count,
                concurrency=concurrency,
                capacity_rows=capacity_rows,
                wide_timestamps="auto",
            )

        self._bridge = bridge()
        self._reader = with_client(self._bridge, open_it)
        self._bridge.keep(self._reader, self._reader.aclose)
        self._closed = False
        self._turns = Turns()
        self._cursor = RecordCursor(self._reader.schema, string_as=string_as)
        self._row_count = self._reader.row_count
        # One past the last row, counted from the slice's start, that has come over the bridge.
        self._received = 0
        self._seek_first = False
        self._past_end = False

    def __repr__(self) -> str:
        state = "closed" if self._closed else f"at row {self._position} of {self._row_count}"
        return f"<paiio.TableReader, {state}>"

    @property
    def _position(self) -> int:
        """The row that is read next, counted from the slice's start."""
        return self._received - self._cursor.rows

    # --------------------------------------------------------------------------------------------------------- reading

    def read(self, num_records: int = 1, allow_smaller_final_batch: bool = True) -> Records:
        """The next ``num_records`` rows as a NumPy record array whose elements are tuples; fewer at the end.

        When no row is left raises :class:`OutOfRangeException`, at every further call too. A short end of the slice is
        always given, whatever ``allow_smaller_final_batch`` says. NULL is None, and makes its column a field of
        objects.
        """
        if num_records == 1 and not self._closed and not self._bridge.forked:
            row = self._cursor.take_one()
            if row is not None:
                return row
        return self._alone(self._take, whole_number("num_records", num_records, least=0))

    def _take(self, wanted: int, least: int = 0) -> Records:
        """The next ``wanted`` rows; the end if not even ``least`` of them are left."""
        if least > self._row_count - self._position:
            raise self._end_of_table(END_OF_TABLE)
        self._receive(wanted)
        rows = self._cursor.rows
        if not rows and self._received >= self._row_count:
            self._past_end = True
            raise self._end_of_table(END_OF_TABLE)
        return self._cursor.take(min(wanted, rows))

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        """The rows that are left, one by one, as tuples."""
        while True:
            try:
                rows = self.read(_ITERATION_ROWS, allow_smaller_final_batch=True)
            except OutOfRangeException:
                return
            yield from rows

    def seek(self, offset: int = 0) -> None:
        """Go on with row ``offset``, zero-based from the slice's start.

        Raises :class:`OutOfRangeException` when that is beyond the end, and when the reader is already past the end:
        when a read or a seek has raised it before.
        """
        self._alone(self._seek, whole_number("offset", offset, least=0))

    def _seek(self, target: int) -> None:
        if self._past_end or target > self._row_count:
            self._past_end = True
            self._cursor.clear()
            self._received = self._row_count
            raise self._end_of_table(END_OF_TABLE)
        self._go_to(target)

    def _go_to(self, target: int) -> None:
        """Go on with this row, counted from the slice's start; also from beyond the end."""
        self._past_end = False
        ahead = target - self._position
        if 0 <= ahead < self._cursor.rows:
            self._cursor.skip(ahead)
        else:
            # Left to the next read; it also ends an error there.
            self._cursor.clear()
            self._received = target
            self._seek_first = True

    def _receive(self, wanted: int) -> None:
        """Have at least ``wanted`` rows at hand, or all that are left."""
        missing = min(wanted - self._cursor.rows, self._row_count - self._received)
        if missing <= 0:
            return
        batches: list[pa.RecordBatch] = []
        try:
            seek_first, self._seek_first = self._seek_first, False
            self._bridge.call(_pull, self._reader, self._received, seek_first, missing, batches)
        finally:
            # After an error, too: what came before it is not lost.
            for batch in batches:
                self._cursor.push(batch)
                self._received += batch.num_rows

    # ----------------------------------------------------------------------------------------------------- description

    def get_row_count(self) -> int:
        """The number of rows of the table, or of the slice."""
        self._check_open()
        return self._row_count

    def get_schema(self) -> np.ndarray[Any, np.dtype[Any]]:
        """The columns as a 1-D structured array with the fields ``colname``, ``typestr`` and ``pytype``.

        ``typestr`` is MaxCompute's type in lower case; ``pytype`` the Python type of its cells: ``int``, ``float``,
        ``bool``, or ``object`` for all others.
        """
        self._check_open()
        rows = [(column.name, column.type, _python_type(column)) for column in self._reader.table_schema.columns]
        return np.array(rows, [("colname", object), ("typestr", object), ("pytype", object)])

    @property
    def start_pos(self) -> int:
        """The number, in the table, of the slice's first row."""
        return self._reader.start_pos

    @property
    def end_pos(self) -> int:
        """One past the number, in the table, of the slice's last row."""
        return self._reader.end_pos

    # --------------------------------------------------------------------------------------------------------- closing

    def close(self) -> None:
        """Let go of all connections. Harmless a second time, and in a child process."""
        if self._closed:
            return
        self._closed = True
        if self._bridge.forked:
            return
        try:
            self._bridge.call(self._reader.aclose)
        except errors.ClosedError:
            pass  # the program is ending, and all connections with it
        finally:
            self._bridge.let_go(self._reader)
        with suppress(errors.BusyError):
            self._turns.run(self._cursor.clear)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __reduce__(self) -> NoReturn:
        raise errors.UsageError(
            "a reader holds connections and does not pickle; open a TableReader in the other process"
        )

    def __del__(self) -> None:
        if getattr(self, "_closed", True) or self._bridge.forked:
            return
        self._closed = True
        warnings.warn(f"{self._reader!r} was not closed", ResourceWarning, stacklevel=2, source=self)
        self._bridge.post(self._reader.aclose)
        self._bridge.let_go(self._reader)

    def _alone(self, act: Callable[..., _T], *args: int) -> _T:
        """What moves the cursor, while no other thread does."""
        # In a child the lock may be held by a thread that does not exist there.
        self._check_open()
        done: _T = self._turns.run(self._if_open, act, *args)
        return done

    def _if_open(self, act: Callable[..., _T], *args: int) -> _T:
        self._check_open()
        self._cursor.hold()
        return act(*args)

    def _check_open(self) -> None:
        if self._bridge.forked:
            raise errors.ForkedError("this reader was opened before fork; open a TableReader in the child process")
        if self._closed:
            raise errors.ClosedError("this reader is closed; open a new one")


async def _pull(
    reader: AsyncTableReader, position: int, seek_first: bool, row_count: int, batches: list[pa.RecordBatch]
) -> None:
    """In the loop: append at least ``row_count`` rows from slice row ``position`` on; at the end fewer."""
    # The positions also differ after an interrupt while batches were on their way.
    if seek_first or reader.position - reader.start_pos != position:
        await reader.seek(position)
    while row_count > 0:
        batch = await reader.read_batch()
        if batch is None:
            return
        batches.append(batch)
        row_count -= batch.num_rows


def _string_as(given: str | None, usual: StringAs) -> StringAs:
    name, chosen = "string_as", given
    if given is None:
        name, chosen = _STRING_AS_VARIABLE, os.environ.get(_STRING_AS_VARIABLE) or usual
    match chosen:
        case "str" | "bytes":
            return chosen
    raise errors.UsageError(f"{name} must be 'str' or 'bytes', not {chosen!r}")


def _python_type(column: Column) -> type:
    return _PYTHON_TYPES.get(column.odps_type.name, object)
