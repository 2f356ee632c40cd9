"""The Arrow form: batches in and out, PyODPS on the other side, and no damage unseen."""

from __future__ import annotations

import contextlib
import struct

import numpy as np
import pyarrow as pa
import pytest
from codec_rows import FLAT_TYPES, batches, in_pieces
from crc32c import crc32c
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyodps_peer import pyodps_schema, read_arrow, written_arrow

from aiopaiio.arrow_stream import ArrowStreamDecoder, ArrowStreamEncoder
from aiopaiio.errors import ChecksumError, DataError, MalformedStreamError, SchemaMismatchError, TruncatedStreamError
from aiopaiio.frames import FrameEncoder
from aiopaiio.schema import Column, arrow_schema

ARROW_TYPES = tuple(name for name in FLAT_TYPES if name != "interval_year_month")
# Of these PyODPS says another Arrow type: none for JSON, and scale 18 where it is 0.
PEER_TYPES = tuple(name for name in ARROW_TYPES if name not in ("json", "decimal(5,0)"))
SCHEMA = pa.schema([("n", pa.int64()), ("s", pa.string())])
BATCH = pa.record_batch([pa.array([1, None, 3]), pa.array(["a", "éé", None])], schema=SCHEMA)


def encoded(parts: list[pa.RecordBatch], frame_bytes: int = 65536) -> bytes:
    encoder = ArrowStreamEncoder(parts[0].schema, chunk_bytes=frame_bytes)
    return b"".join([*(piece for part in parts for piece in encoder.encode(part)), encoder.finish()])


def framed(payload: bytes, frame_bytes: int = 65536) -> bytes:
    frames = FrameEncoder(frame_bytes)
    return b"".join([*frames.encode(payload), frames.finish()])


def decoded(decoder: ArrowStreamDecoder, pieces: list[bytes]) -> list[pa.RecordBatch]:
    return [batch for piece in pieces for batch in decoder.feed(piece)] + decoder.finish()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(batches(ARROW_TYPES), min_size=1, max_size=1),
    st.integers(1, 4),
    st.integers(16, 600),
    st.lists(st.integers(1, 700), min_size=1),
)
def test_round_trip(
    tables: list[tuple[tuple[Column, ...], pa.RecordBatch]], count: int, frame_bytes: int, sizes: list[int]
) -> None:
    _, batch = tables[0]
    body = encoded([batch] * count, frame_bytes)
    for pieces in ([body], in_pieces(body, sizes)):
        for check_values in (False, True):
            found = decoded(ArrowStreamDecoder(batch.schema, check_values=check_values), pieces)
            assert found == [batch] * count
            assert found[0].schema.equals(batch.schema, check_metadata=True)


def test_one_byte_at_a_time() -> None:
    body = encoded([BATCH, BATCH.slice(1)], 64)
    assert decoded(ArrowStreamDecoder(SCHEMA), in_pieces(body, [1])) == [BATCH, BATCH.slice(1)]


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(batches(PEER_TYPES), st.sampled_from([128, 65536]))
def test_pyodps_reads(table: tuple[tuple[Column, ...], pa.RecordBatch], frame_bytes: int) -> None:
    columns, batch = table
    schema = pyodps_arrow_schema(columns)
    assert read_arrow(schema, encoded([batch], frame_bytes)) == [batch]


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(batches(PEER_TYPES, peer=True), st.sampled_from([128, 65536]))
def test_pyodps_writes(table: tuple[tuple[Column, ...], pa.RecordBatch], frame_bytes: int) -> None:
    columns, batch = table
    body = written_arrow(columns, batch, frame_bytes)
    if not batch.num_rows:
        assert body == bytes(4)
    expected = [batch] if batch.num_rows else []
    assert decoded(ArrowStreamDecoder(arrow_schema(columns), check_values=True), [body]) == expected


def pyodps_arrow_schema(columns: tuple[Column, ...]) -> pa.Schema:
    from odps.tunnel.io.types import odps_schema_to_arrow_schema

    return odps_schema_to_arrow_schema(pyodps_schema(columns))


def test_cut_at_every_byte() -> None:
    body = encoded([BATCH, BATCH], 64)
    for cut in range(len(body)):
        with pytest.raises((TruncatedStreamError, ChecksumError)):
            decoded(ArrowStreamDecoder(SCHEMA), [body[:cut]])


def test_cut_between_messages_with_a_right_checksum() -> None:
    message = BATCH.serialize().to_pybytes()
    for cut in range(1, len(message)):
        with pytest.raises(TruncatedStreamError, match="inside a record batch"):
            decoded(ArrowStreamDecoder(SCHEMA), [framed(message + message[:cut])])


def test_every_bit_flipped() -> None:
    body = encoded([BATCH], 64)
    for bit in range(8 * len(body)):
        damaged = bytearray(body)
        damaged[bit >> 3] ^= 1 << (bit & 7)
        with pytest.raises(DataError):
            decoded(ArrowStreamDecoder(SCHEMA), [bytes(damaged)])


def test_batches_come_as_soon_as_they_are_verified() -> None:
    body = encoded([BATCH] * 3, 64)
    decoder = ArrowStreamDecoder(SCHEMA)
    found, after = [], []
    for number, piece in enumerate(in_pieces(body, [1])):
        came = decoder.feed(piece)
        found += came
        after += [number] * len(came)
    message_bytes = len(BATCH.serialize())
    frames = [-(-message_bytes * count // 64) for count in (1, 2)]
    assert after[:2] == [4 + 68 * count - 1 for count in frames]
    assert found + decoder.finish() == [BATCH] * 3


def test_the_message_being_received_is_known() -> None:
    decoder = ArrowStreamDecoder(SCHEMA)
    body = encoded([BATCH], 16)
    assert decoder.next_message is None
    seen = []
    for piece in in_pieces(body, [1]):
        decoder.feed(piece)
        seen.append(decoder.next_message)
    assert set(seen) == {None, (3, len(BATCH.serialize()) - 8 - struct.unpack_from("<I", BATCH.serialize(), 4)[0])}
    decoder.finish()
    assert decoder.next_message is None


def test_the_older_way_to_say_a_length_and_end_marks() -> None:
    new = BATCH.serialize().to_pybytes()
    old = new[4:]
    marks = (b"\xff\xff\xff\xff\0\0\0\0", bytes(4))
    for payload in (old, new + marks[0], old + marks[1], marks[0] + new + marks[1] + old):
        found = decoded(ArrowStreamDecoder(SCHEMA), in_pieces(framed(payload, 32), [5]))
        assert found == [BATCH] * (payload.count(new[8:]))


@pytest.mark.parametrize("codec", ["lz4", "zstd"])
def test_compressed_buffers(codec: str) -> None:
    batch = pa.record_batch([pa.array(np.zeros(10_000, np.int64)), pa.array(["x"] * 10_000)], schema=SCHEMA)
    options = pa.ipc.IpcWriteOptions(compression=codec)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, SCHEMA, options=options) as writer:
        writer.write_batch(batch)
    reader = pa.ipc.MessageReader.open_stream(sink.getvalue())
    reader.read_next_message()
    message = reader.read_next_message().serialize().to_pybytes()
    assert len(message) < 50_000 < batch.nbytes
    assert decoded(ArrowStreamDecoder(SCHEMA), [framed(message)]) == [batch]
    with pytest.raises(MalformedStreamError, match="at most 65536"):
        decoded(ArrowStreamDecoder(SCHEMA, max_message_bytes=65536), [framed(message)])


def test_messages_have_a_greatest_size() -> None:
    for limit in (100, len(BATCH.serialize()) - 1):
        with pytest.raises(MalformedStreamError, match=f"at most {limit} are accepted"):
            decoded(ArrowStreamDecoder(SCHEMA, max_message_bytes=limit), [encoded([BATCH])])
    assert decoded(ArrowStreamDecoder(SCHEMA, max_message_bytes=len(BATCH.serialize())), [encoded([BATCH])]) == [BATCH]


def test_other_messages_are_refused() -> None:
    with pytest.raises(MalformedStreamError, match="a schema message"):
        decoded(ArrowStreamDecoder(SCHEMA), [framed(SCHEMA.serialize().to_pybytes())])


@pytest.mark.parametrize(
    "schema",
    [
        pa.schema([("n", pa.int64())]),
        pa.schema([("n", pa.decimal256(54, 18)), ("s", pa.string())]),
        pa.schema([("n", pa.int64()), ("s", pa.string()), ("t", pa.string())]),
    ],
)
def test_batches_of_other_columns_are_not_trusted(schema: pa.Schema) -> None:
    body = encoded([BATCH])
    if schema.names == ["n"]:
        # What remains is a whole column, and Arrow reads it.
        assert decoded(ArrowStreamDecoder(schema), [body]) == [BATCH.select(["n"])]
    else:
        with pytest.raises(MalformedStreamError, match="does not fit"):
            decoded(ArrowStreamDecoder(schema), [body])


def test_hostile_offsets_are_found() -> None:
    wild = pa.Array.from_buffers(
        pa.string(), 3, [None, pa.py_buffer(np.array([0, 1 << 30, 1, 2], np.int32)), pa.py_buffer(b"ab")]
    )
    message = pa.record_batch([pa.array([1, 2, 3]), wild], schema=SCHEMA).serialize().to_pybytes()
    with pytest.raises(MalformedStreamError, match="does not fit"):
        decoded(ArrowStreamDecoder(SCHEMA, check_values=True), [framed(message)])


def test_text_need_not_be_utf8() -> None:
    wild = pa.array([b"\xff", b"\xc3", None], pa.binary())
    schema = pa.schema([("s", pa.string()), ("l", pa.list_(pa.struct([("m", pa.map_(pa.string(), pa.string()))])))])
    nested = pa.nulls(3, schema.field("l").type)
    batch = pa.record_batch([wild.view(pa.string()), nested], schema=schema)
    (found,) = decoded(ArrowStreamDecoder(schema, check_values=True), [encoded([batch])])
    assert found.column(0).view(pa.binary()).equals(wild)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=80), st.integers(0, 150))
def test_any_payload(noise: bytes, position: int) -> None:
    """Right checksums around noise, or around a message with noise in its metadata."""
    message = bytearray(BATCH.serialize().to_pybytes())
    message[position : position + len(noise) // 8] = noise[: len(noise) // 8]
    for payload in (noise, bytes(message)):
        body = framed(payload)
        assert crc32c(payload).to_bytes(4, "big") == body[-4:]
        with contextlib.suppress(DataError):
            decoded(ArrowStreamDecoder(SCHEMA, max_message_bytes=1 << 20, check_values=True), [body])


def test_a_batch_of_other_columns_is_refused() -> None:
    encoder = ArrowStreamEncoder(SCHEMA)
    with pytest.raises(SchemaMismatchError, match=r"\(n int64\) where \(n int64, s string\)"):
        encoder.encode(BATCH.select(["n"]))
    with pytest.raises(SchemaMismatchError, match=r"m int64"):
        encoder.encode(BATCH.rename_columns(["m", "s"]))
