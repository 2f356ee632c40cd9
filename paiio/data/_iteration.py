"""One iteration over a dataset, as TensorFlow asks for it: from tables to the arrays that go over."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy.typing as npt
import pyarrow as pa

from aiopaiio.client import Client
from aiopaiio.errors import ClosedError, UsageError
from aiopaiio.reader import TableRead
from aiopaiio.table_path import parse_paths
from paiio._bridge import bridge
from paiio._client import with_client
from paiio.data._blocks import Block
from paiio.data._ending import require_running, stop_generators
from paiio.data._errors import ValueRangeError
from paiio.data._packing import Layout
from paiio.data._plan import Plan
from paiio.data._stages import through_stages
from paiio.data._tables import Read, TablesPass, describe

__all__ = ["Iteration"]

_NOTICE_SECONDS = 0.05
"""How long TensorFlow is left without an answer; that a consumer has gone is noticed by answering."""

_PACK_BYTES = 2 << 20
"""About how much crosses to TensorFlow at once: much more than the crossing costs, and little to hold."""

_TABLE_KEY = b"paiio.table"


class Iteration:
    """Begin it by :meth:`arrays`; closing that generator lets go of everything."""

    def __init__(self, read: Read, plan: Plan, layout: Layout, filenames: Sequence[bytes]) -> None:
        self._read = read
        self._plan = plan
        self._layout = layout
        self._paths = [str(path) for path in parse_paths([name.decode() for name in filenames])]
        self._bridge = bridge()
        self._bridge.before_stop(stop_generators)
        self._client = with_client(self._bridge, _itself)
        self._tables: dict[bytes, TableRead] = {}
        self._passes_left = plan.most_passes
        self._ahead: TablesPass | None = None
        self._row_bytes = 0.0

    def arrays(self) -> Iterator[tuple[npt.NDArray[Any], ...]]:
        """The arrays of :meth:`Layout.pack`, block after block; now and then empty ones."""
        batch = self._plan.batch_stage
        nothing = self._layout.pack(Block((), batch.rows if batch else 1), batched=batch is not None)
        answered = time.monotonic()
        blocks = through_stages(self._blocks, self._plan.stages)
        try:
            for block in blocks:
                require_running()
                if block.rows:
                    for arrays in self._packed(block, batched=batch is not None):
                        yield arrays
                        require_running()
                elif time.monotonic() - answered < _NOTICE_SECONDS:
                    continue
                else:
                    yield nothing
                answered = time.monotonic()
        finally:
            blocks.close()  # type: ignore[attr-defined]  # all of them are generators
            self._close_ahead()

    def _packed(self, block: Block, *, batched: bool) -> Iterator[tuple[npt.NDArray[Any], ...]]:
        if not self._row_bytes:
            self._row_bytes = sum(piece.nbytes for piece in block.pieces) / block.rows
        rows = int(_PACK_BYTES / max(1, self._row_bytes))
        for part in block.split(max(1, rows // block.rows_each)):
            yield from self._packed_part(part, batched=batched)

    def _packed_part(self, part: Block, *, batched: bool) -> Iterator[tuple[npt.NDArray[Any], ...]]:
        try:
            arrays = self._layout.pack(part, batched=batched)
        except ValueRangeError as error:
            self._locate(error, part)
            whole = error.row // part.rows_each
            if whole:
                # Errors come at their row. What is before it is given first, or fails first: in another column.
                yield from self._packed_part(part.select(range(whole)), batched=batched)
            raise
        # From now on as wide as it was last; asking Arrow takes long where columns are many.
        self._row_bytes = _size_bytes(arrays) / part.rows
        yield arrays

    def _locate(self, error: ValueRangeError, block: Block) -> None:
        """Say which table it was."""
        first = 0
        for piece in block.pieces:
            metadata = piece.schema.metadata or {}
            if first <= error.row < first + piece.num_rows and _TABLE_KEY in metadata:
                error.with_context(**describe(self._tables[metadata[_TABLE_KEY]]))
                return
            first += piece.num_rows
        if len(self._tables) == 1:
            error.with_context(**describe(next(iter(self._tables.values()))))
        else:
            # Shuffled rows have forgotten where they came from.
            error.with_context(table=" or ".join(table.path.name for table in self._tables.values()))

    # ---------------------------------------------------------------------------------------------------------- source

    def _blocks(self) -> Iterator[Block]:
        """One pass over the rows of all tables."""
        selection = self._plan.selection
        tables = self._begin_pass()
        try:
            while True:
                came = self._bridge.call(tables.next_rows, _NOTICE_SECONDS)
                if came is None:
                    return
                if came and tables.on_last_table and self._ahead is None and self._passes_left > 0:
                    self._ahead = self._new_pass()
                    self._bridge.call(_begin_to_open, self._ahead)
                pieces: list[pa.RecordBatch] = []
                for rows in came:
                    key = str(rows.table.path).encode()
                    self._tables.setdefault(key, rows.table)
                    batch = rows.batch.replace_schema_metadata({_TABLE_KEY: key})
                    pieces += Block((batch,)).select(selection.within(rows.position, batch.num_rows)).pieces
                yield Block(pieces)
        finally:
            self._close(tables)

    def _begin_pass(self) -> TablesPass:
        tables, self._ahead = self._ahead, None
        if tables is None:
            tables = self._new_pass()
        self._passes_left -= 1
        return tables

    def _new_pass(self) -> TablesPass:
        tables = TablesPass(self._client, self._paths, self._read, self._plan.selection)
        self._bridge.keep(tables, tables.aclose)
        return tables

    def _close_ahead(self) -> None:
        if self._ahead is not None:
            self._close(self._ahead)

    def _close(self, tables: TablesPass) -> None:
        try:
            self._bridge.call(tables.aclose)
        except ClosedError:
            pass  # the program is ending, and everything with it
        except UsageError:
            # The garbage collector came by in the background loop itself, which cannot wait for itself.
            self._bridge.post(tables.aclose)
        finally:
            self._bridge.let_go(tables)


def _size_bytes(arrays: tuple[npt.NDArray[Any], ...]) -> int:
    return sum(sum(map(len, array)) if array.dtype == object else array.nbytes for array in arrays)


async def _begin_to_open(tables: TablesPass) -> None:
    tables.open_ahead()


async def _itself(client: Client) -> Client:
    return client
