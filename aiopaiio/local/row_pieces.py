"""Rows to the pieces of a body: batches are encoded, perhaps compressed, and gathered into pieces fit for a socket.

A piece is a list of buffers, not one: they go out from where they lie.

Plain generators, pulled from worker threads one piece at a time; nothing is made before it is asked for, so a stream
holds one piece, one batch and what the compressor keeps.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa

from aiopaiio.arrow_stream import ArrowStreamEncoder
from aiopaiio.compression import compressor
from aiopaiio.local.faults import ShortBody
from aiopaiio.record_encoder import STEP_BYTES, RecordStreamEncoder, step_rows
from aiopaiio.schema import Column, arrow_schema

__all__ = ["CHUNK_BYTES", "Piece", "RowForm", "row_pieces"]

CHUNK_BYTES = 65536
"""Size of an Arrow frame's data: what the real service and all known clients write."""

_PIECE_BYTES = 2 << 20
"""Bytes handed to the socket at once: large enough to keep Python out of the way, small enough for the next to be made
meanwhile."""

_RECORD_PIECE_BYTES = 512 << 10
"""Records take longer to make than to send, so they do not wait for so many of their kind."""

Piece = list[bytes | memoryview]

_encoding_records = threading.Lock()  # threads that do so at once only take Python's own lock from each other


@dataclass(frozen=True, slots=True)
class RowForm:
    """How rows are put on the wire: ``columns`` in this order, ``arrow`` or record form, a content encoding.

    ``metrics`` is asked at the end for what the metrics block says, for clients that can read one (record form only).
    """

    columns: Sequence[Column]
    arrow: bool
    encoding: str = "identity"
    wide_timestamps: bool = False
    metrics: Callable[[], dict[str, int]] | None = None


def row_pieces(batches: Iterable[pa.RecordBatch], form: RowForm, cut: ShortBody | None = None) -> Iterator[Piece]:
    """The body of an answer with these rows. ``cut`` ends it early, as a fault."""
    if cut is not None and cut.rows is not None:
        chunks = _open_ended(batches, form, cut.rows)
    else:
        chunks = _arrow_chunks(batches, form) if form.arrow else _record_chunks(batches, form)
    if cut is not None and not cut.compressed and cut.rows is None:
        size = 4 + (cut.frames or 0) * (CHUNK_BYTES + 4) if cut.cut_at_bytes is None else cut.cut_at_bytes
        chunks = _head(chunks, size)
    if form.encoding != "identity":
        chunks = _compressed(_gathered(chunks, _PIECE_BYTES), form.encoding)
    return _gathered(chunks, _PIECE_BYTES if form.arrow else _RECORD_PIECE_BYTES)


def _arrow_chunks(batches: Iterable[pa.RecordBatch], form: RowForm) -> Iterator[bytes | memoryview]:
    encoder = ArrowStreamEncoder(_wire_schema(form), chunk_bytes=CHUNK_BYTES)
    for batch in batches:
        yield from encoder.encode(batch)
    yield encoder.finish()


def _record_chunks(batches: Iterable[pa.RecordBatch], form: RowForm) -> Iterator[bytes | memoryview]:
    encoder = RecordStreamEncoder(form.columns)
    for step in _record_steps(batches, len(form.columns)):
        with _encoding_records:
            chunk = encoder.encode(step)
        yield chunk
    yield encoder.finish(metrics=form.metrics() if form.metrics else None)


def _record_steps(batches: Iterable[pa.RecordBatch], columns: int) -> Iterator[pa.RecordBatch]:
    """The same rows in batches that the encoder makes in a step each, cut or put together.

    Those of one step are on their way while others are made; the first one is a quarter of the others.
    """
    most_rows = step_rows(columns)
    wanted_rows = most_rows // 4
    held: list[pa.RecordBatch] = []
    for batch in batches:
        # A column of timestamps is kept in either of two forms.
        if held and not held[0].schema.equals(batch.schema):
            yield from _joined(held)
            held, wanted_rows = [], most_rows
        start = 0
        while start < batch.num_rows:
            held.append(batch.slice(start, wanted_rows - sum(part.num_rows for part in held)))
            start += held[-1].num_rows
            if sum(part.num_rows for part in held) == wanted_rows or sum(part.nbytes for part in held) >= STEP_BYTES:
                yield from _joined(held)
                held, wanted_rows = [], most_rows
    if held:
        yield from _joined(held)


def _joined(parts: list[pa.RecordBatch]) -> list[pa.RecordBatch]:
    """The rows in one batch, or in more where one text column would be too long for a batch."""
    return parts if len(parts) == 1 else pa.Table.from_batches(parts).combine_chunks().to_batches()


def _open_ended(batches: Iterable[pa.RecordBatch], form: RowForm, rows: int) -> Iterator[bytes | memoryview]:
    """The first rows, without what closes the stream."""
    arrow = ArrowStreamEncoder(_wire_schema(form), chunk_bytes=CHUNK_BYTES)
    record = RecordStreamEncoder(form.columns)
    for batch in batches:
        part = batch.slice(0, rows)
        rows -= part.num_rows
        if part.num_rows and form.arrow:
            yield from arrow.encode(part)
        elif part.num_rows:
            yield record.encode(part)


def _wire_schema(form: RowForm) -> pa.Schema:
    return arrow_schema(form.columns, wide_timestamps=form.wide_timestamps)


def _head(chunks: Iterable[bytes | memoryview], size_bytes: int) -> Iterator[bytes | memoryview]:
    for chunk in chunks:
        if size_bytes <= 0:
            return
        yield chunk[:size_bytes]
        size_bytes -= len(chunk)


def _compressed(pieces: Iterable[Piece], encoding: str) -> Iterator[bytes | memoryview]:
    engine = compressor(encoding)
    for piece in pieces:
        yield engine.compress(b"".join(piece))
    yield engine.flush()


def _gathered(chunks: Iterable[bytes | memoryview], piece_bytes: int) -> Iterator[Piece]:
    held: Piece = []
    size = 0
    for chunk in chunks:
        held.append(chunk)
        size += len(chunk)
        if size >= piece_bytes:
            yield held
            held, size = [], 0
    if size:
        yield held
