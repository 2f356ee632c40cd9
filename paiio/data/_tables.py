"""The tables of a dataset in the background loop: opened one ahead, read one after the other, rows left out unread."""

from __future__ import annotations

import asyncio
import enum
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import anyio
import pyarrow as pa

from aiopaiio.client import Client
from aiopaiio.errors import SchemaMismatchError
from aiopaiio.reader import TableRead, TableReader
from aiopaiio.schema import TableSchema
from aiopaiio.slicing import RowRange
from paiio.data._conversion import can_read
from paiio.data._defaults import Default
from paiio.data._errors import RecordDefaultsError
from paiio.data._selection import Selection

__all__ = ["MOST_STREAMS", "NotYet", "Read", "Rows", "TablesPass", "describe"]

_STREAM_BYTES = 64 << 20
_MOST_BYTES = 1 << 30
MOST_STREAMS = 64


@dataclass(frozen=True, slots=True)
class Read:
    """What of each table is read, and how. ``capacity_rows`` 0: by memory."""

    defaults: tuple[Default, ...]
    selected_cols: str | tuple[str, ...] | None
    excluded_cols: str | tuple[str, ...] | None
    slice_id: int
    slice_count: int
    streams: int
    capacity_rows: int

    @property
    def memory_limit_bytes(self) -> int:
        """So that each stream may hold 64 MiB, but all of them not more than 1 GiB."""
        # A reader keeps half of its limit for what the streams hold.
        return min(_MOST_BYTES, 2 * _STREAM_BYTES * self.streams)

    def options(self) -> dict[str, Any]:
        """The arguments of ``open_reader`` that say how."""
        return {
            "concurrency": self.streams,
            "capacity_rows": self.capacity_rows,
            "memory_limit_bytes": self.memory_limit_bytes,
        }


class NotYet(enum.Enum):
    """What there is instead of rows when none came in time."""

    COME = enum.auto()


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows that came, of one table; ``position`` is the first one's number in the dataset's rows."""

    batch: pa.RecordBatch
    position: int
    table: TableRead


class TablesPass:
    """The tables once through. Its coroutines are for the background loop."""

    def __init__(self, client: Client, paths: Sequence[str], read: Read, selection: Selection) -> None:
        self._client = client
        self._paths = paths
        self._read = read
        self._selection = selection
        self._opened = 0
        self._opening: asyncio.Task[TableRead] | None = None
        self._table: TableRead | None = None
        self._reader: TableReader | None = None
        self._first: tuple[str, TableSchema] | None = None
        # Numbers among the rows of all tables: of the next table's first row, and of the next row to come.
        self._begin = self._position = 0

    async def next_rows(self, most_seconds: float) -> Rows | NotYet | None:
        """More rows; None at the end."""
        with anyio.move_on_after(most_seconds):
            return await self._next_rows()
        return NotYet.COME

    def open_ahead(self) -> None:
        """Begin to open the next table."""
        if self._opening is None and self._opened < len(self._paths):
            path = self._paths[self._opened]
            self._opening = asyncio.create_task(self._open(path), name=f"paiio dataset opens {path}")

    async def aclose(self) -> None:
        """Stop everything, and wait for that."""
        opening, self._opening = self._opening, None
        if opening is not None:
            opening.cancel()
            await asyncio.wait([opening])
            if not opening.cancelled():
                opening.exception()  # nobody is left whom it concerns
        await self._close_reader()

    @property
    def on_last_table(self) -> bool:
        """Whether no other table is to be opened."""
        return self._opened == len(self._paths)

    async def _next_rows(self) -> Rows | None:
        while True:
            if self._reader is None and not await self._next_table():
                return None
            assert self._reader is not None  # there is a next table
            assert self._table is not None
            batch = await self._reader.read_batch()
            if batch is not None:
                rows = Rows(batch, self._position, self._table)
                self._position += batch.num_rows
                return rows
            await self._close_reader()

    async def _next_table(self) -> bool:
        """Go to the next table that has rows which are wanted."""
        while not (self.on_last_table or self._selection.ends_before(self._begin)):
            self.open_ahead()
            assert self._opening is not None
            # Shielded: whoever cannot wait any longer comes back to it.
            table = await asyncio.shield(self._opening)
            self._check(table)
            count = len(table.rows)
            wanted = self._selection.within(self._begin, count)
            if wanted:
                first = table.rows.start
                narrowed = replace(table, rows=RowRange(first + wanted[0], first + wanted[-1] + 1))
                # A description opens without a request.
                self._reader = await self._client.open_reader(narrowed, **self._read.options())
            # No await from here on: what was cancelled before it begins again.
            self._opening = None
            self._opened += 1
            self._table = table
            self._position = self._begin + (wanted[0] if wanted else 0)
            self._begin += count
            if not self._selection.ends_before(self._begin):
                self.open_ahead()
            if wanted:
                return True
        return False

    async def _open(self, path: str) -> TableRead:
        read = self._read
        async with self._client.open_reader(
            path, read.selected_cols, read.excluded_cols, read.slice_id, read.slice_count
        ) as reader:
            return reader.description

    def _check(self, table: TableRead) -> None:
        columns = TableSchema(tuple(replace(column, comment="", nullable=True) for column in table.plan.columns))
        name = str(table.path)
        if self._first is None:
            self._first = name, columns
        elif self._first[1] != columns:
            raise SchemaMismatchError(
                f"{name} and {self._first[0]} have different schemas, and a dataset has only one: "
                f"{_differences(self._first[1], columns)}",
                **describe(table),
            )
        defaults = self._read.defaults
        if len(columns.columns) != len(defaults):
            raise RecordDefaultsError(
                f"Column size of the record to be saved: '{len(columns.columns)}' does not match "
                f"the default record column size: '{len(defaults)}'.",
                **describe(table),
            )
        for column, default in zip(columns.columns, defaults, strict=True):
            if not can_read(column.odps_type, default):
                raise RecordDefaultsError(
                    f"column {column.name!r} is {column.type.upper()}, which cannot be read as {default.type_name}, "
                    f"the type of its record default",
                    **describe(table),
                )

    async def _close_reader(self) -> None:
        reader, self._reader = self._reader, None
        if reader is not None:
            await reader.aclose()


def describe(table: TableRead) -> dict[str, str | None]:
    """Where it is, for an error."""
    session = table.sessions[0]
    return {
        "table": table.path.name,
        "partition": ", ".join(map(str, table.path.partitions)) or None,
        "session": session.id,
        "request_id": session.request_id,
    }


def _differences(first: TableSchema, other: TableSchema) -> str:
    texts = (", ".join(f"{column.name} {column.type}" for column in schema.columns) for schema in (other, first))
    return " against ".join(texts)
