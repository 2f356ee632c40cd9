"""The record wire form: a body in pieces -> ``pyarrow.RecordBatch``. No I/O.

A record is its fields in column order, NULL ones left out, then an end mark with the CRC32C of its values. A footer
with the number of records and the CRC32C of all their checksums closes the stream; a body without it is not whole.

Decoding works on many records at once, although neither a record nor a field says how long it is. The end mark is
searched for, and what lies between two marks is taken for a record. A mark may also occur inside a value. Then the
records around it do not end where they should, and are read one by one, each as far as its fields say. Whether a guess
was right is decided by the fields and the checksum of every record, so nothing wrong can come out of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from crc32c import crc32c

from aiopaiio.errors import ChecksumError, DataError, MalformedStreamError, TruncatedStreamError
from aiopaiio.pieces import Constant, Mask, Pieces
from aiopaiio.record_cells import read_one_number
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
from aiopaiio.record_nested import spread_array
from aiopaiio.schema import Column, arrow_schema
from aiopaiio.varints import Positions, StrayError, Wire, read_numbers

__all__ = ["MAX_RECORD_BYTES", "RecordStreamDecoder"]

MAX_RECORD_BYTES = 256 << 20
"""Bound of one record. Checksummed bytes are at most six times the wire bytes, so their offsets fit 32 bits."""

_MOST_ROWS = 1 << 14
_GATHER_BYTES = 1 << 20
_GATHER_BYTES_PER_COLUMN = 16 << 10  # a step costs time for each column, so wide tables need many rows in it
_CHECKSUM_BYTES = 10  # some writers extend the sign of a checksum to 64 bits
_SIGN = np.uint64(0xFFFFFFFF00000000)


@dataclass(frozen=True, slots=True)
class _Rows:
    """Records whose fields have been read: columns still to be made, checksums, positions of their end marks."""

    columns: Callable[[], list[pa.Array]]
    checksums: list[int]
    ends: Positions


class RecordStreamDecoder:
    """Decodes one body with the given columns, in the order they were asked for.

    With ``wide_timestamps`` TIMESTAMP columns come as seconds and nanoseconds; else a value outside the years 1677 to
    2262 raises :class:`TimestampRangeError`. Other errors are :class:`DataError` too.

    :meth:`feed` and :meth:`finish` return batches in order; every record in them has been checked. When one of them
    raises, :meth:`take` gives the records before the damage. Only ``finish`` can tell that no record is missing.
    :meth:`decode` does both for a body that is all there. At most about ``gather_limit_bytes`` of records are gathered
    before they are decoded.
    """

    def __init__(
        self,
        columns: Sequence[Column],
        *,
        wide_timestamps: bool = False,
        max_record_bytes: int = MAX_RECORD_BYTES,
        gather_limit_bytes: int = MAX_RECORD_BYTES,
    ) -> None:
        self._schema = arrow_schema(columns, wide_timestamps=wide_timestamps)
        pairs = zip(columns, self._schema.types, strict=True)
        self._fields = [Field.of(column, number, arrow) for number, (column, arrow) in enumerate(pairs, 1)]
        self._max_record_bytes = max_record_bytes
        self._pending = bytearray()
        gather_bytes = max(_GATHER_BYTES, _GATHER_BYTES_PER_COLUMN * len(self._fields))
        self._gather_bytes = self._wanted_bytes = min(gather_bytes, gather_limit_bytes)
        self._ready: list[pa.RecordBatch] = []
        self._step_rows = _MOST_ROWS
        self._row_count = 0
        self._checksum_of_checksums = 0
        self.at_footer = False
        """Whether the records have ended as they should: then what is wrong is said, or not, by the footer."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self._row_count} rows read, {len(self._pending)} bytes pending>"

    @property
    def schema(self) -> pa.Schema:
        """The schema of the batches."""
        return self._schema

    @property
    def pending_bytes(self) -> int:
        """How many bytes were fed and are not decoded yet."""
        return len(self._pending)

    @property
    def wanted_bytes(self) -> int:
        """How many more bytes are to be fed before any of them are decoded."""
        return max(0, self._wanted_bytes - len(self._pending))

    def feed(self, piece: bytes | bytearray | memoryview) -> list[pa.RecordBatch]:
        """Take the next piece of the body; return the records that are complete, once there are enough of them."""
        self.add(piece)
        return self.read()

    def add(self, piece: bytes | bytearray | memoryview) -> None:
        """Take the next piece of the body, for :meth:`read`."""
        self._pending += piece

    def read(self) -> list[pa.RecordBatch]:
        """Return the records that are complete, once there are enough of them."""
        if len(self._pending) >= self._wanted_bytes:
            self._drain(final=False)
        return self.take()

    def finish(self) -> list[pa.RecordBatch]:
        """The body has ended: return its last records and check the footer."""
        self._drain(final=True)
        footer = bytes(self._pending)
        if not META_COUNT.startswith(footer[: len(META_COUNT)]):
            self._read_one(Wire(bytearray(footer)), 0, final=True)  # says what is wrong with it
        self.at_footer = True
        self._read_footer(footer)
        self._pending.clear()
        return self.take()

    def take(self) -> list[pa.RecordBatch]:
        """The records that were read and not returned yet, because of an error behind them."""
        batches, self._ready = self._ready, []
        return batches

    def decode(self, body: bytes | bytearray | memoryview) -> pa.RecordBatch:
        """Decode a whole body into one batch."""
        self._pending += body
        batches = self.finish()
        if len(batches) == 1:
            return batches[0]
        if not batches:
            return pa.RecordBatch.from_arrays([pa.nulls(0, field.type) for field in self._fields], schema=self._schema)
        arrays = [pa.concat_arrays([batch.column(place) for batch in batches]) for place in range(len(self._fields))]
        return pa.RecordBatch.from_arrays(arrays, schema=self._schema)

    # ------------------------------------------------------------------------------------------------------- records

    def _drain(self, *, final: bool) -> None:
        """Read the complete records among the pending bytes and remove them."""
        wire = Wire(self._pending)
        starts, limits = _segments(wire, final=final)
        position = segment = 0
        try:
            while segment < len(starts):
                # Little more than is gathered: what is read in a step is there several times meanwhile.
                in_step = int(np.searchsorted(limits, starts[segment] + 2 * self._gather_bytes, "right"))
                stop = max(segment + 1, min(in_step, segment + self._step_rows))
                try:
                    rows = self._read(wire, starts[segment:stop], limits[segment:stop])
                    if (rows.ends != limits[segment:stop]).any():
                        raise StrayError("a record that does not end at its mark")
                    self._accept(wire, rows)
                except (StrayError, DataError, IndexError):
                    if stop - segment > 1:
                        self._step_rows = max(1, (stop - segment) // 8)
                        continue
                    guessed = self._read_one(wire, position, final=final)
                    if guessed is None:
                        break
                    rows = guessed
                self._step_rows = min(_MOST_ROWS, 4 * self._step_rows)
                position = _after_mark(wire, int(rows.ends[-1]))
                segment = int(np.searchsorted(limits, position))
                if segment < len(starts):
                    starts[segment] = position
        finally:
            self._pending = bytearray(wire.view[position : wire.size])
        if len(self._pending) > self._max_record_bytes:
            raise MalformedStreamError(f"a record of more than {self._max_record_bytes} bytes")
        # A record that is not complete yet is looked at again when half as much again of it is here.
        self._wanted_bytes = max(self._gather_bytes, len(self._pending) * 3 // 2)

    def _read_one(self, wire: Wire, position: int, *, final: bool) -> _Rows | None:
        """The record at ``position``, ending wherever its fields do; None when there is none, or not all of it yet."""
        if wire.view[position : position + 4] == META_COUNT:
            return None
        try:
            rows = self._read(wire, np.array([position]), np.array([wire.size]))
            end = int(rows.ends[0])
            if end + 5 > wire.size:
                raise StrayError("a record without an end mark", beyond=True)
        except (StrayError, IndexError) as error:
            beyond = isinstance(error, IndexError) or error.beyond
            if beyond and not final:
                return None
            if beyond:
                raise TruncatedStreamError(f"the body ended inside record {self._row_count}") from error
            raise MalformedStreamError(f"record {self._row_count} is damaged: {error}") from error
        if wire.view[end : end + 4] != END_RECORD:
            raise MalformedStreamError(f"record {self._row_count} is damaged: a field that is not due")
        if _after_mark(wire, end) > wire.size:
            if not final:
                return None
            raise TruncatedStreamError(f"the body ended inside the checksum of record {self._row_count}")
        try:
            self._accept(wire, rows)
        except StrayError as error:
            raise MalformedStreamError(f"the checksum of record {self._row_count} is damaged: {error}") from error
        return rows

    def _read(self, wire: Wire, starts: Positions, limits: Positions) -> _Rows:
        """Read the records that begin at ``starts``; raises StrayError or IndexError when their bytes are none."""
        count = len(starts)
        at = starts
        made: list[Callable[[], pa.Array]] = []
        summed: list[Pieces] = []
        for field in self._fields:
            present = field.present(wire, at)
            present_count = np.count_nonzero(present)  # all() and any() take several times as long for few rows
            if present_count == count:
                cells = field.cells.read(wire, at + len(field.tag), limits)
                at = cells.after
                made.append(cells.array)
                summed += [Constant(field.summed_number, count), cells.summed]
            elif not present_count:
                made.append(lambda field=field: pa.nulls(count, field.type))  # type: ignore[misc]
            elif field.cells.reads_absent:
                # Where the field is missing a zero is read, from the padding after all bytes.
                cells = field.cells.read(wire, np.where(present, at + len(field.tag), wire.size), limits)
                at = np.where(present, cells.after, at)
                made.append(lambda cells=cells, present=present: _masked(cells.array(), present))  # type: ignore[misc]
                cells.summed.present = present
                summed += [Constant(field.summed_number, count, present), cells.summed]
            else:
                where = np.flatnonzero(present)
                cells = field.cells.read(wire, at[where] + len(field.tag), limits[where])
                at = at.copy()
                at[where] = cells.after
                made.append(lambda cells=cells, present=present: spread_array(cells.array(), present))  # type: ignore[misc]
                summed += [Constant(field.summed_number, count, present), cells.summed.spread(present)]
        return _Rows(lambda: [make() for make in made], record_checksums(summed, count), at)

    def _accept(self, wire: Wire, rows: _Rows) -> None:
        """Compare the records' checksums with those after their end marks; make a batch of them, and count them."""
        sent, _ = read_numbers(wire, rows.ends + len(END_RECORD))
        computed = np.array(rows.checksums, np.uint64)
        wrong = (sent != computed) & ((sent != computed | _SIGN) | (computed >> np.uint64(31) == 0))
        if wrong.any():
            raise ChecksumError(f"record {self._row_count + int(np.flatnonzero(wrong)[0])} is damaged")
        self._ready.append(pa.RecordBatch.from_arrays(rows.columns(), schema=self._schema))
        in_order = computed.astype("<u4").tobytes()
        self._checksum_of_checksums = crc32c(in_order, self._checksum_of_checksums)
        self._row_count += len(computed)

    # -------------------------------------------------------------------------------------------------------- footer

    def _read_footer(self, footer: bytes) -> None:
        view = memoryview(footer)
        try:
            position = _expect(view, 0, META_COUNT, f"record {self._row_count} or the footer")
            coded, position = read_one_number(view, position)
            count = coded >> 1 ^ -(coded & 1)
            if view[position : position + 1] == METRICS:
                position = self._read_metrics(view, position + 1)
            position = _expect(view, position, META_CHECKSUM, "the checksum of all records")
            checksum, position = read_one_number(view, position)
        except IndexError as error:
            raise TruncatedStreamError(
                f"the body ended before its footer was complete, after {self._row_count} rows"
            ) from error
        if count != self._row_count:
            raise MalformedStreamError(f"the footer counts {count} rows, the body has {self._row_count}")
        if checksum not in _spellings(self._checksum_of_checksums):
            raise ChecksumError("the checksum of all records is wrong")
        if position != len(footer):
            raise MalformedStreamError(f"{len(footer) - position} bytes after the footer")

    def _read_metrics(self, view: memoryview, position: int) -> int:
        """Service timings that may stand in the footer, with a checksum of their own."""
        length, position = read_one_number(view, position)
        if length > len(view) - position:
            raise IndexError(length)
        metrics = view[position : position + length]
        position = _expect(view, position + length, END_METRICS, "the end of the metrics")
        checksum, position = read_one_number(view, position)
        if checksum not in _spellings(metrics_checksum(metrics)):
            raise ChecksumError("the metrics in the footer are damaged")
        return position


def _masked(array: pa.Array, present: Mask) -> pa.Array:
    """The array with NULL where not ``present``."""
    valid = pa.py_buffer(np.packbits(present, bitorder="little"))
    return pa.Array.from_buffers(array.type, len(array), [valid, array.buffers()[1]])


def _segments(wire: Wire, *, final: bool) -> tuple[Positions, Positions]:
    """Where records seem to begin, and where their end marks stand."""
    last = np.flatnonzero(wire.bytes[3 : wire.size] == END_RECORD[3])
    marks = last[wire.words32[last] == int.from_bytes(END_RECORD, "little")]
    if not final:
        # The checksum has to be here too; with fewer bytes after the mark it may go on.
        marks = marks[marks <= wire.size - len(END_RECORD) - _CHECKSUM_BYTES]
    if not len(marks):
        return marks, marks
    lengths = _checksum_lengths(wire, marks + len(END_RECORD))
    starts = np.empty_like(marks)
    starts[0] = 0
    starts[1:] = (marks + len(END_RECORD) + lengths)[:-1]
    return starts, marks


def _checksum_lengths(wire: Wire, at: Positions) -> Positions:
    """Bytes of the checksums at ``at``, not read as numbers yet: behind a false mark may stand anything."""
    lengths = np.ones(len(at), np.int64)
    going_on = wire.bytes[at] > 127
    for place in range(1, _CHECKSUM_BYTES):
        if not going_on.any():
            break
        lengths += going_on
        going_on &= wire.bytes[at + place] > 127
    return lengths


def _after_mark(wire: Wire, mark: int) -> int:
    """Where the next record begins after the end mark at ``mark``."""
    start = mark + len(END_RECORD)
    return start + int(_checksum_lengths(wire, np.array([start]))[0])


def _spellings(checksum: int) -> tuple[int, ...]:
    """What may stand for a checksum: the number itself, or, when its top bit is set, with that sign extended."""
    return (checksum, checksum | int(_SIGN)) if checksum >> 31 else (checksum,)


def _expect(view: memoryview, position: int, tag: bytes, what: str) -> int:
    """The position after ``tag``; raises IndexError when the bytes end inside it."""
    here = bytes(view[position : position + len(tag)])
    if here == tag:
        return position + len(tag)
    if tag.startswith(here):
        raise IndexError(position)
    raise MalformedStreamError(f"{what} is due where something else stands")
