"""The tables of a dataset in the background loop: opened one ahead, read one after the other, rows left out unread."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa

from aiopaiio.client import Client
from aiopaiio.errors import SchemaMismatchError
from aiopaiio.reader import TableRead
from aiopaiio.schema import TableSchema
from aiopaiio.slicing import RowRange
from paiio.data._conversion import can_read
from paiio.data._defaults import Default
from paiio.data._errors import RecordDefaultsError
from paiio.data._selection import Selection

__all__ = ["Read", "Rows", "TablesPass", "describe"]

_STREAM_BYTES = 64 << 20
_MOST_BYTES = 1 << 30
_WAITING_BYTES = 8 << 20
"""What may wait on its way between the threads, so that few crossings carry much."""

_MEASURE_EVERY = 16


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


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows that came, of one table; ``position`` is the first one's number in the dataset's rows."""

    batch: pa.RecordBatch
    position: int
    table: TableRead


class TablesPass:
    """The tables once through. Made anywhere; its coroutines are for the background loop."""

    def __init__(self, client: Client, paths: Sequence[str], read: Read, selection: Selection) -> None:
        self._client = client
        self._paths = paths
        self._read = read
        self._selection = selection
        self._opened = 0
        self._opening: asyncio.Task[TableRead] | None = None
        self._first: tuple[str, TableSchema] | None = None
        self._pump: asyncio.Task[None] | None = None
        self._came: deque[tuple[Rows, int]] = deque()
        self._came_bytes = 0
        self._change = asyncio.Event()

    @property
    def on_last_table(self) -> bool:
        """Whether no other table is to be opened."""
        return self._opened == len(self._paths)

    async def next_rows(self, most_seconds: float) -> list[Rows] | None:
        """All that came and was not given yet, perhaps nothing; None at the end.

        Waits for it, but not longer than ``most_seconds``. What fails is raised behind the rows before it.
        """
        if self._pump is None:
            self._pump = asyncio.create_task(self._read_tables(), name="paiio dataset")
        if not self._came and not self._pump.done():
            self._change.clear()
            await asyncio.wait(
                [self._pump, changed := asyncio.ensure_future(self._change.wait())],
                timeout=most_seconds,
                return_when=asyncio.FIRST_COMPLETED,
            )
            changed.cancel()
        if not self._came and self._pump.done():
            self._pump.result()
            return None
        rows = [each for each, _ in self._came]
        self._came.clear()
        self._came_bytes = 0
        self._change.set()
        return rows

    def open_ahead(self) -> None:
        """Begin to open the next table."""
        if self._opening is None and not self.on_last_table:
            path = self._paths[self._opened]
            self._opening = asyncio.create_task(self._open(path), name=f"paiio dataset opens {path}")

    async def aclose(self) -> None:
        """Stop everything, and wait for that."""
        tasks = [task for task in (self._pump, self._opening) if task is not None]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        for task in tasks:
            if not task.cancelled():
                task.exception()  # nobody is left whom it concerns

    async def _read_tables(self) -> None:
        begin = 0
        while not (self.on_last_table or self._selection.ends_before(begin)):
            self.open_ahead()
            assert self._opening is not None
            table = await self._opening
            self._opening = None
            self._opened += 1
            self._check(table)
            count = len(table.rows)
            if not self._selection.ends_before(begin + count):
                self.open_ahead()
            wanted = self._selection.within(begin, count)
            if wanted:
                await self._read_table(table, wanted, begin)
            begin += count

    async def _read_table(self, table: TableRead, wanted: range, begin: int) -> None:
        """Read from the first row that is wanted to the last; the table's first is number ``begin`` of all."""
        first, last = table.rows.start + wanted[0], table.rows.start + wanted[-1]
        narrowed = replace(table, rows=RowRange(first, last + 1))
        position = begin + wanted[0]
        # A description opens without a request.
        async with self._client.open_reader(narrowed, **self._read.options()) as reader:
            row_bytes, measure_at = 0.0, position
            async for batch in reader:
                if position >= measure_at:
                    # Not always: it takes long where columns are many.
                    row_bytes = batch.nbytes / batch.num_rows
                    measure_at = position + _MEASURE_EVERY * batch.num_rows
                size = int(row_bytes * batch.num_rows)
                while self._came and self._came_bytes + size > _WAITING_BYTES:
                    self._change.clear()
                    await self._change.wait()
                self._came.append((Rows(batch, position, table), size))
                self._came_bytes += size
                self._change.set()
                position += batch.num_rows

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
