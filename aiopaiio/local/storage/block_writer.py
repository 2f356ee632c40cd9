"""Writes one block of an upload session: rows in, files on disk, one change of the metadata that makes it exist."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from types import TracebackType

import numpy as np
import pyarrow as pa

from aiopaiio.local.storage.batch_cuts import BatchJoiner
from aiopaiio.local.storage.conform import StoredForm
from aiopaiio.local.storage.data_files import DataFiles, NewFile
from aiopaiio.local.storage.descriptions import Block
from aiopaiio.local.storage.refusal import StoreError
from aiopaiio.local.storage.run_lengths import pack_run_lengths

__all__ = ["BlockWriter", "WrittenFile"]

_OPTIONS = pa.ipc.IpcWriteOptions(emit_dictionary_deltas=False, use_threads=False)


@dataclass(frozen=True, slots=True)
class WrittenFile:
    """A complete data file that the metadata does not know yet."""

    id: str
    row_count: int
    size: int
    batch_rows: bytes
    wide_columns: tuple[str, ...]


class _OpenFile:
    """A data file being written; its batches all have one schema."""

    def __init__(self, new_file: NewFile, schema: pa.Schema) -> None:
        self.new_file = new_file
        self.schema = schema
        self.batch_rows: list[int] = []
        self._sink = pa.OSFile(str(new_file.path), "wb")
        self._writer = pa.ipc.new_file(self._sink, schema, options=_OPTIONS)

    def write(self, batch: pa.RecordBatch) -> None:
        self._writer.write_batch(batch)
        self.batch_rows.append(batch.num_rows)

    def close(self) -> None:
        """Write the file's footer; does nothing when that was done."""
        if not self._sink.closed:
            try:
                self._writer.close()
            finally:
                self._sink.close()


class BlockWriter:
    """One block. Nothing of it exists before :meth:`commit`; leaving ``with`` without one discards it.

    For one thread at a time. ``register`` puts the files into the metadata and returns the block.
    """

    def __init__(self, files: DataFiles, form: StoredForm, register: Callable[[Sequence[WrittenFile]], Block]) -> None:
        self._files = files
        self._form = form
        self._register = register
        self._joiner = BatchJoiner()
        self._open: list[_OpenFile] = []
        self._schema: pa.Schema | None = None
        self._finished = False
        self.row_count = 0

    def write(self, batch: pa.RecordBatch) -> None:
        """Append rows.

        Columns are found by name; one that is missing reads as NULL. Their types are those of ``arrow_schema``, with
        narrow or wide timestamps. Raises StoreError ``MalformedDataStream``; the block is then good for abort only.
        """
        if self._finished:
            raise StoreError("StatusConflict", "the block is complete or was discarded")
        stored = self._form(batch, self.row_count)
        if self._schema is not None and stored.schema != self._schema:
            # A file has one schema: columns came or went, or timestamps no longer fit nanoseconds.
            self._append(self._joiner.flush())
        self._schema = stored.schema
        self._append(self._joiner.push(stored))
        self.row_count += batch.num_rows

    def _append(self, batches: Iterable[pa.RecordBatch]) -> None:
        for batch in batches:
            if not self._open or self._open[-1].schema != batch.schema:
                self._open.append(_OpenFile(self._files.create(), batch.schema))
            self._open[-1].write(batch)

    def commit(self) -> Block:
        """Make the block exist, durably, in place of an earlier one with its id."""
        if self._finished:
            raise StoreError("StatusConflict", "the block is complete or was discarded")
        try:
            self._append(self._joiner.flush())
            written = [self._complete(part) for part in self._open]
            if written:
                self._files.sync_directory()
            block = self._register(written)
        except BaseException:
            self.abort()
            raise
        self._finished = True
        for part in self._open:
            part.new_file.release()
        return block

    def _complete(self, part: _OpenFile) -> WrittenFile:
        part.close()
        return WrittenFile(
            id=part.new_file.id,
            row_count=int(np.sum(part.batch_rows)),
            size=part.new_file.sync(),
            batch_rows=pack_run_lengths(part.batch_rows),
            wide_columns=tuple(self._form.wide_columns(part.schema)),
        )

    def abort(self) -> None:
        """Leave nothing behind; does nothing when the block is complete."""
        if not self._finished:
            self._finished = True
            for part in self._open:
                try:
                    part.close()
                finally:
                    part.new_file.discard()

    def __enter__(self) -> BlockWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.abort()
