"""The record wire form: ``pyarrow.RecordBatch`` -> the pieces of a body. No I/O."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from crc32c import crc32c

from aiopaiio.errors import SchemaMismatchError
from aiopaiio.pieces import Constant, Pieces, Varints, join
from aiopaiio.record_fields import (
    END_METRICS,
    END_RECORD,
    META_CHECKSUM,
    META_COUNT,
    METRICS,
    Field,
    metrics_checksum,
    record_checksums,
)
from aiopaiio.record_nested import write_present
from aiopaiio.schema import Column, arrow_schema, arrow_type
from aiopaiio.varints import number_bytes

__all__ = ["STEP_BYTES", "RecordStreamEncoder", "step_rows"]

STEP_BYTES = 16 << 20
"""Rows of so many bytes are a step, however few they are."""

_STEP_CELLS = 1 << 18
_MOST_STEP_ROWS = 1 << 13
_LEAST_STEP_ROWS = 1 << 10


def step_rows(column_count: int) -> int:
    """How many rows are encoded at once: about so many cells, within bounds, as a step costs time for each column."""
    return max(_LEAST_STEP_ROWS, min(_MOST_STEP_ROWS, _STEP_CELLS // max(1, column_count)))


class RecordStreamEncoder:
    """Encodes one body from batches with the given columns; what is returned is to be sent in order.

    TIMESTAMP columns of a batch may be in either of their Arrow types.
    """

    def __init__(self, columns: Sequence[Column]) -> None:
        self._columns = tuple(columns)
        self._schema: pa.Schema | None = None
        self._fields: list[Field] = []
        self._row_count = 0
        self._checksum_of_checksums = 0

    def encode(self, batch: pa.RecordBatch) -> bytes:
        """Encode one batch; raises :class:`SchemaMismatchError` when its columns are not those of the encoder."""
        if self._schema is None or not batch.schema.equals(self._schema):
            self._fields = self._fields_of(batch.schema)
            self._schema = batch.schema
        step = min(step_rows(batch.num_columns), max(1, STEP_BYTES * batch.num_rows // max(1, batch.nbytes)))
        return b"".join(self._encode(batch.slice(start, step)) for start in range(0, batch.num_rows, step))

    def finish(self, *, metrics: dict[str, int] | None = None) -> bytes:
        """The footer. ``metrics`` are for downloads, and only for clients that say they speak version 6 or later."""
        parts = [META_COUNT, number_bytes(self._row_count << 1)]
        if metrics is not None:
            text = json.dumps(metrics).encode()
            parts += [METRICS, number_bytes(len(text)), text, END_METRICS, number_bytes(metrics_checksum(text))]
        return b"".join([*parts, META_CHECKSUM, number_bytes(self._checksum_of_checksums)])

    def _fields_of(self, schema: pa.Schema) -> list[Field]:
        if len(schema) != len(self._columns):
            raise SchemaMismatchError(f"a batch of {len(schema)} columns where {len(self._columns)} are due")
        due, fields = arrow_schema(self._columns), []
        for number, (column, given, expected) in enumerate(zip(self._columns, schema.types, due.types, strict=True), 1):
            if given != expected and given != arrow_type(column.type, wide_timestamps=True):
                raise SchemaMismatchError(f"column {column.name} is {column.type}: {expected}, not {given}")
            fields.append(Field.of(column, number, given))
        return fields

    def _encode(self, batch: pa.RecordBatch) -> memoryview:
        count = batch.num_rows
        sent: list[Pieces] = []
        summed: list[Pieces] = []
        for field, array in zip(self._fields, batch.columns, strict=True):
            present = None
            if not array.null_count:
                wire, under_checksum = field.cells.write(array)
            elif array.null_count < count:
                present = array.is_valid().to_numpy(zero_copy_only=False)
                wire, under_checksum = write_present(field.cells, array, present)
            else:
                continue
            sent += [Constant(field.tag, count, present), *wire]
            summed += [Constant(field.summed_number, count, present), *under_checksum]
        checksums = np.array(record_checksums(summed, count), np.uint32)
        self._checksum_of_checksums = crc32c(checksums.astype("<u4").tobytes(), self._checksum_of_checksums)
        self._row_count += count
        records = join([*sent, Constant(END_RECORD, count), Varints(checksums.astype(np.uint64))], count)
        return records.content.data[records.offsets[0] : records.offsets[-1]]
