"""From a stream of Arrow batches to records of any number of rows. Pure; fed with batches by whoever receives them."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from aiopaiio.batch_columns import BatchColumns, Window, cut, fill_records
from aiopaiio.column_shapes import Shape, field_shape
from aiopaiio.record_array import Records
from aiopaiio.text_objects import StringAs

__all__ = ["RecordCursor", "Records", "StringAs", "records_from_batches"]

_FEW_ROWS = 32
"""A read of at most this many rows is cut from a window of converted rows; a larger one is converted by itself."""

_WINDOW_ROWS = 4096
_WINDOW_CELLS = 1 << 16
_NO_ROWS: list[Records | None] = [None] * (_WINDOW_ROWS + 1)
"""A window in which no row is ready, wherever in it one looks."""

_LEAST_WINDOW_ROWS = 16

_REMEMBERED_ROW_TYPES = 256


class RecordCursor:
    """Cuts a stream of record batches into :class:`Records` of any length.

    ``push`` batches of one schema at the end, ``take`` rows from the front; ``rows`` are waiting. Nothing is converted
    before its rows are taken. STRING columns become ``str`` or ``bytes`` as ``string_as`` says.

    For one thread at a time; but any thread may :meth:`take_one`, except between :meth:`hold` and the end of the next
    ``take``, when it finds none.
    """

    def __init__(self, schema: pa.Schema, *, string_as: StringAs = "str") -> None:
        self.rows = 0
        self._string_as: StringAs = string_as
        self._shapes = [field_shape(field) for field in schema]
        self._row_type = _RowTypes(schema, self._shapes)
        self._window_rows = min(_WINDOW_ROWS, max(_LEAST_WINDOW_ROWS, _WINDOW_CELLS // max(1, len(schema))))
        self._batches: deque[BatchColumns] = deque()
        self._window: Window | None = None
        # Of the window: the next row, and for each row what to cut it from alone, which makes it ready.
        self._at = 0
        self._of_row = _NO_ROWS

    def __repr__(self) -> str:
        return f"<RecordCursor {self.rows} rows waiting, {len(self._shapes)} columns>"

    def push(self, batch: pa.RecordBatch) -> None:
        """Add a batch at the end."""
        if batch.num_rows:
            self._batches.append(BatchColumns(batch, self._shapes, self._string_as))
            self.rows += batch.num_rows

    def take_one(self) -> Records | None:
        """The next row if it is converted already; None says that ``take(1)`` may have it."""
        at = self._at
        rows = self._of_row[at]
        ready = rows is not None
        self._at = at + ready
        self.rows -= ready
        # Up to here nothing was called and nothing branched, and only there does Python (3.10 at branches, too) let
        # another thread go on: so this row is nobody else's.
        return None if rows is None else cut(rows, at)

    def hold(self) -> None:
        """Let :meth:`take_one` find nothing until rows have been taken again."""
        self._of_row = _NO_ROWS

    def take(self, count: int) -> Records:
        """The next ``count`` rows, which must be waiting; ``take(0)`` gives none."""
        self.hold()
        taken = self._take(count)
        if self._window is not None:
            self._of_row = self._window.of_row
        return taken

    def skip(self, count: int) -> None:
        """Pass over the next ``count`` rows, which must be waiting."""
        self.hold()
        self._require(count)
        self._close_window()
        self._advance(count)
        self.rows -= count

    def clear(self) -> None:
        """Forget all waiting rows."""
        self.hold()
        self._close_window()
        self._batches.clear()
        self.rows = 0

    def _take(self, count: int) -> Records:
        self._require(count)
        if self._window is None or self._at + count > self._window.rows:
            self._close_window()
            if not 0 < count <= _FEW_ROWS or count > self._batches[0].rows - self._batches[0].at:
                return self._convert(count)
            self._open_window()
        assert self._window is not None
        taken = self._window.cut(self._at, self._at + count)
        self._at += count
        self.rows -= count
        return taken

    def _convert(self, count: int) -> Records:
        pieces = []
        columns, left = 0, count
        for batch in self._batches:
            stop = min(batch.rows, batch.at + left)
            pieces.append((batch, batch.at, stop))
            columns |= batch.odd_columns(batch.at, stop)
            left -= stop - batch.at
            if not left:
                break
        records = fill_records(pieces, self._row_type(columns))
        self._advance(count)
        self.rows -= count
        return records

    def _open_window(self) -> None:
        head = self._batches[0]
        self._window = Window(head, head.at, min(head.rows, head.at + self._window_rows), self._row_type)

    def _close_window(self) -> None:
        if self._window is not None:
            self._advance(self._at)
            self._window = None
            self._at = 0

    def _advance(self, count: int) -> None:
        while count:
            head = self._batches[0]
            step = min(count, head.rows - head.at)
            head.at += step
            count -= step
            if head.at == head.rows:
                self._batches.popleft()

    def _require(self, count: int) -> None:
        if not 0 <= count <= self.rows:
            raise ValueError(f"{count} rows asked for, {self.rows} waiting")


class _RowTypes:
    """The type of a row by its columns of objects; apart from the cursor, which a window must not keep alive."""

    def __init__(self, schema: pa.Schema, shapes: Sequence[Shape]) -> None:
        self._fields = [(name, shape.dtype) for name, shape in zip(schema.names, shapes, strict=True)]
        self._made: dict[int, np.dtype[Any]] = {}

    def __call__(self, object_columns: int) -> np.dtype[Any]:
        row_type = self._made.get(object_columns)
        if row_type is None:
            if len(self._made) >= _REMEMBERED_ROW_TYPES:
                self._made.clear()
            fields = enumerate(self._fields)
            row_type = np.dtype([(n, object if object_columns >> at & 1 else dtype) for at, (n, dtype) in fields])
            self._made[object_columns] = row_type
        return row_type


def records_from_batches(
    batches: Sequence[pa.RecordBatch], *, schema: pa.Schema | None = None, string_as: StringAs = "str"
) -> Records:
    """All rows of some batches of one schema; the schema must be given when there may be no batch."""
    cursor = RecordCursor(batches[0].schema if schema is None else schema, string_as=string_as)
    for batch in batches:
        cursor.push(batch)
    return cursor.take(cursor.rows)
