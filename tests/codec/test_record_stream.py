"""The record form: what is written is read back, whatever the types, the pieces it comes in, and the bytes in it."""

from __future__ import annotations

import struct

import numpy as np
import pyarrow as pa
import pytest
from codec_rows import batches, in_pieces
from crc32c import crc32c
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aiopaiio import pieces, record_fields
from aiopaiio.errors import MalformedStreamError, SchemaMismatchError, TimestampRangeError
from aiopaiio.record_cells import Strings
from aiopaiio.record_decoder import RecordStreamDecoder
from aiopaiio.record_encoder import RecordStreamEncoder
from aiopaiio.schema import SECONDS_NANOS, Column, arrow_schema
from aiopaiio.varints import StrayError, Wire, number_bytes

END_MARK = bytes.fromhex("80c0ff7f")


def encoded(columns: tuple[Column, ...], *parts: pa.RecordBatch) -> bytes:
    encoder = RecordStreamEncoder(columns)
    return b"".join([*(encoder.encode(part) for part in parts), encoder.finish()])


def table_of(columns: tuple[Column, ...], rows: list[dict[str, object]]) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist(rows, schema=arrow_schema(columns))


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(batches(), st.lists(st.integers(1, 500), min_size=1))
def test_round_trip(table: tuple[tuple[Column, ...], pa.RecordBatch], sizes: list[int]) -> None:
    columns, batch = table
    body = encoded(columns, batch)
    whole = RecordStreamDecoder(columns).decode(body)
    whole.validate(full=True)
    assert whole.equals(batch, check_metadata=True)
    decoder = RecordStreamDecoder(columns)
    decoder._gather_bytes = decoder._wanted_bytes = 1
    parts = [part for piece in in_pieces(body, sizes) for part in decoder.feed(piece)] + decoder.finish()
    assert pa.Table.from_batches(parts, batch.schema).combine_chunks().equals(pa.Table.from_batches([batch]))


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(batches())
def test_batches_make_one_body(table: tuple[tuple[Column, ...], pa.RecordBatch]) -> None:
    columns, batch = table
    parts = [batch.slice(row, 1) for row in range(batch.num_rows)]
    assert encoded(columns, *parts) == encoded(columns, batch)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(batches())
def test_texts_too_long_for_narrow_offsets_or_too_many_for_one_round_are_put_together_alike(
    table: tuple[tuple[Column, ...], pa.RecordBatch],
) -> None:
    columns, batch = table
    body = encoded(columns, batch)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pieces, "_MOST_NARROW_BYTES", -1)
        assert encoded(columns, batch) == body
        patch.setattr(pieces, "_MOST_AT_ONCE", 2)
        assert encoded(columns, batch) == body


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.none() | st.integers(-(1 << 63), (1 << 63) - 1),
            st.none() | st.lists(st.sampled_from([END_MARK, b"\x08", b"\x0a", b"\xff", b"\0", b"a"])).map(b"".join),
        )
    )
)
def test_end_marks_inside_values(rows: list[tuple[int | None, bytes | None]]) -> None:
    columns = (Column("n", "bigint"), Column("s", "binary"))
    batch = table_of(columns, [{"n": number, "s": text} for number, text in rows])
    assert RecordStreamDecoder(columns).decode(encoded(columns, batch)).equals(batch)


def test_long_and_short_records_are_summed_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    columns = (Column("a", "bigint"), Column("b", "string"), Column("c", "array<string>"), Column("d", "double"))
    rows = [
        {"a": 1, "b": "x" * 300_000, "c": ["y" * 100_000, None, ""], "d": None},
        {"a": None, "b": None, "c": [], "d": 0.5},
        {"a": 3, "b": "", "c": None, "d": -1.0},
    ]
    batch = table_of(columns, rows)
    body = encoded(columns, batch)
    assert RecordStreamDecoder(columns).decode(body).equals(batch)
    monkeypatch.setattr(record_fields, "_LONG_BYTES", 1 << 30)
    assert encoded(columns, batch) == body


def test_end_marks_everywhere_among_many_rows() -> None:
    columns = (Column("s", "binary"), Column("a", "array<tinyint>"))
    rows = [
        {"s": END_MARK * (row % 3) if row % 50 < 3 else b"plain", "a": [row % 100] * (row % 4)} for row in range(2000)
    ]
    batch = table_of(columns, rows)
    body = encoded(columns, batch)
    assert RecordStreamDecoder(columns).decode(body).equals(batch)


def test_a_number_that_looks_like_an_end_mark() -> None:
    columns = (Column("n", "bigint"), Column("m", "bigint"))
    likeness = 33553408 << 3 >> 1
    batch = table_of(columns, [{"n": likeness, "m": None}, {"n": None, "m": likeness}, {"n": 1, "m": 2}])
    body = encoded(columns, batch)
    assert body.count(END_MARK) == 5
    assert RecordStreamDecoder(columns).decode(body).equals(batch)


def test_many_columns_have_longer_tags() -> None:
    columns = tuple(Column(f"c{number}", "tinyint" if number % 2 else "string") for number in range(2100))
    cells = {column.name: 1 if column.type == "tinyint" else "x" for column in columns[::3]}
    batch = table_of(columns, [cells] * 3)
    assert RecordStreamDecoder(columns).decode(encoded(columns, batch)).equals(batch)


@pytest.mark.parametrize("type_text", ["array<bigint>", "array<array<string>>", "array<struct<a:double,b:string>>"])
def test_arrays_of_very_unequal_length(type_text: str) -> None:
    cell = {
        "array<bigint>": 7,
        "array<array<string>>": ["x", None],
        "array<struct<a:double,b:string>>": {"a": 1.0, "b": "y"},
    }
    columns = (Column("a", type_text),)
    lengths = [0, 3000, *[1] * 50, 2, 40]
    batch = table_of(columns, [{"a": [cell[type_text], None] * length} for length in lengths])
    assert RecordStreamDecoder(columns).decode(encoded(columns, batch)).equals(batch)


def test_text_need_not_be_utf8() -> None:
    columns = (Column("s", "string"), Column("a", "array<string>"))
    wild = pa.array([b"\xff\xfe", None, b"\xc3"], pa.binary())
    lists = pa.ListArray.from_arrays(pa.array([0, 1, 2, 3], pa.int32()), wild.view(pa.string()))
    batch = pa.record_batch([wild.view(pa.string()), lists], schema=arrow_schema(columns))
    decoded = RecordStreamDecoder(columns).decode(encoded(columns, batch))
    assert decoded.column(0).type == pa.string()
    assert decoded.column(0).view(pa.binary()).to_pylist() == [b"\xff\xfe", None, b"\xc3"]
    assert decoded.column(1).flatten().view(pa.binary()).to_pylist() == [b"\xff\xfe", None, b"\xc3"]


def test_floats_keep_their_bits() -> None:
    columns = (Column("f", "float"), Column("d", "double"))
    single = np.array([0x7FC00001, 0xFFC00000, 0x80000000, 1], np.uint32)
    double = np.array([0x7FF8000000000001, 0xFFF8000000000000, 1 << 63, 1], np.uint64)
    batch = pa.record_batch([pa.array(single.view("f4")), pa.array(double.view("f8"))], schema=arrow_schema(columns))
    decoded = RecordStreamDecoder(columns).decode(encoded(columns, batch))
    assert decoded.column(0).view(pa.uint32()).to_pylist() == single.tolist()
    assert decoded.column(1).view(pa.uint64()).to_pylist() == double.tolist()


def test_wide_timestamps() -> None:
    columns = (Column("t", "timestamp"), Column("a", "array<timestamp_ntz>"))
    schema = arrow_schema(columns, wide_timestamps=True)
    early = {"sec": -62135596800, "nano": 1}
    batch = pa.RecordBatch.from_pylist([{"t": early, "a": [early, None]}, {"t": None, "a": None}], schema=schema)
    body = encoded(columns, batch)
    assert RecordStreamDecoder(columns, wide_timestamps=True).decode(body).equals(batch, check_metadata=True)
    with pytest.raises(TimestampRangeError, match="wide_timestamps=True"):
        RecordStreamDecoder(columns).decode(body)


@pytest.mark.parametrize("nanos", [-(1 << 63), (1 << 63) - 1])
def test_the_ends_of_narrow_timestamps(nanos: int) -> None:
    columns = (Column("t", "timestamp"),)
    seconds, rest = divmod(nanos, 10**9)
    beyond = nanos + (1 if nanos > 0 else -1)
    schema = arrow_schema(columns, wide_timestamps=True)
    inside = pa.RecordBatch.from_pylist([{"t": {"sec": seconds, "nano": rest}}], schema=schema)
    outside = pa.RecordBatch.from_pylist([{"t": {"sec": beyond // 10**9, "nano": beyond % 10**9}}], schema=schema)
    decoded = RecordStreamDecoder(columns).decode(encoded(columns, inside))
    assert decoded.column(0).cast(pa.int64()).to_pylist() == [nanos]
    with pytest.raises(TimestampRangeError):
        RecordStreamDecoder(columns).decode(encoded(columns, outside))


def test_negative_nanoseconds_are_understood_and_not_written() -> None:
    columns = (Column("i", "interval_day_time"),)
    batch = pa.RecordBatch.from_pylist([{"i": {"sec": 0, "nano": -1}}], schema=arrow_schema(columns))
    assert batch.schema.types == [SECONDS_NANOS]
    body = encoded(columns, batch)
    assert RecordStreamDecoder(columns).decode(body).to_pylist() == [{"i": {"sec": -1, "nano": 999_999_999}}]
    assert body.startswith(b"\x0a\x01\xfe")


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (1, "0.000000000000000001"),
        (-1, "-0.000000000000000001"),
        (0, "0.000000000000000000"),
        (10**18, "1.000000000000000000"),
    ],
)
def test_decimals_are_plain_text(number: int, text: str) -> None:
    columns = (Column("d", "decimal(38,18)"),)
    integers = pa.array([number]).cast(pa.decimal128(38, 0))
    decimals = pa.Array.from_buffers(pa.decimal128(38, 18), 1, integers.buffers())
    body = encoded(columns, pa.record_batch([decimals], schema=arrow_schema(columns)))
    assert body[2 : 2 + len(text)] == text.encode()


def test_numbers_too_large_for_their_column_are_refused() -> None:
    body = encoded((Column("n", "bigint"),), pa.record_batch([pa.array([1 << 40])], ["n"]))
    with pytest.raises(SchemaMismatchError, match=r"1099511627776 does not fit int32"):
        RecordStreamDecoder((Column("n", "int"),)).decode(body)


@pytest.mark.parametrize("text", ["", "x", "1.555", "123456.00", "NaN"])
def test_decimals_that_do_not_fit_are_refused(text: str) -> None:
    body = encoded((Column("d", "string"),), pa.record_batch([pa.array([text])], ["d"]))
    with pytest.raises(SchemaMismatchError, match=r"decimal128\(5, 2\)"):
        RecordStreamDecoder((Column("d", "decimal(5,2)"),)).decode(body)


def test_a_batch_of_other_columns_is_refused() -> None:
    encoder = RecordStreamEncoder((Column("n", "bigint"),))
    with pytest.raises(SchemaMismatchError, match="column n is bigint: int64, not string"):
        encoder.encode(pa.record_batch([pa.array(["x"])], ["n"]))
    with pytest.raises(SchemaMismatchError, match="2 columns where 1"):
        encoder.encode(pa.record_batch([pa.array([1]), pa.array([1])], ["n", "m"]))


def record(field: str, summed: bytes) -> bytes:
    """A body of one record with one field, given its bytes and what its checksum covers."""
    checksum = crc32c(b"\1\0\0\0" + summed)
    of_checksums = crc32c(checksum.to_bytes(4, "little"))
    footer = bytes.fromhex("f0ffff7f02f8ffff7f") + number_bytes(of_checksums)
    return bytes.fromhex(field) + END_MARK + number_bytes(checksum) + footer


def test_negative_nanoseconds_of_others_are_understood() -> None:
    body = record("0a 02 01", struct.pack("<qi", 1, -1))
    decoded = RecordStreamDecoder((Column("t", "timestamp"),)).decode(body)
    assert decoded.column(0).cast(pa.int64()).to_pylist() == [999_999_999]
    wide = RecordStreamDecoder((Column("t", "timestamp"),), wide_timestamps=True).decode(body)
    assert wide.column(0).to_pylist() == [{"sec": 0, "nano": 999_999_999}]


def test_a_map_whose_key_is_null_is_refused() -> None:
    columns = (Column("m", "map<bigint,bigint>"),)
    assert RecordStreamDecoder(columns).decode(record("0a 01 00 02 01 01", struct.pack("<q", 1))).num_rows == 1
    with pytest.raises(SchemaMismatchError, match="NULL key"):
        RecordStreamDecoder(columns).decode(record("0a 01 01 01 00 02", struct.pack("<q", 1)))


def test_a_map_with_more_keys_than_values_is_refused() -> None:
    with pytest.raises(MalformedStreamError, match="another number of keys"):
        RecordStreamDecoder((Column("m", "map<bigint,bigint>"),)).decode(record("0a 01 00 02 00", struct.pack("<q", 1)))


def test_nanoseconds_beyond_32_bits_are_refused() -> None:
    with pytest.raises(MalformedStreamError, match="more than 32 bits"):
        RecordStreamDecoder((Column("t", "timestamp"),)).decode(record("0a 02 808080808001", struct.pack("<qi", 1, 0)))


@pytest.mark.parametrize("content", ["03616263", "05616263", "ffffffffff0f616263", "ffffffffffffffffff01616263"])
def test_no_string_reaches_beyond_its_record(content: str) -> None:
    """Nor beyond the bytes at hand, where Arrow would follow without a question."""
    wire = Wire(bytearray.fromhex(content))
    with pytest.raises(StrayError):
        Strings(pa.string()).read(wire, np.array([0]), np.array([3]))


def test_null_elements_are_not_walked_over() -> None:
    """What follows a NULL is another element, and must not be taken for the value that is not there."""
    columns = (Column("a", "array<array<string>>"),)
    batch = table_of(columns, [{"a": [None, ["x" * 200], None, None, ["y", None]]}] * 100)
    decoder = RecordStreamDecoder(columns)
    assert decoder.decode(encoded(columns, batch)).equals(batch)
    assert decoder._step_rows == 1 << 14, "the records were read one by one"


def test_vectors_of_another_length_are_refused() -> None:
    columns = (Column("v", "vector(float,3)"),)
    with pytest.raises(SchemaMismatchError, match="3 elements"):
        encoded(columns, table_of(columns, [{"v": [1.0, 2.0]}]))


def test_a_large_record_comes_in_many_pieces() -> None:
    columns = (Column("s", "string"), Column("n", "bigint"))
    batch = table_of(columns, [{"s": "é" * 900_000, "n": 1}, {"s": "x", "n": 2}, {"s": "y" * 2_500_000, "n": None}])
    body = encoded(columns, batch)
    decoder = RecordStreamDecoder(columns)
    parts = [part for piece in in_pieces(body, [10_000]) for part in decoder.feed(piece)] + decoder.finish()
    assert pa.Table.from_batches(parts).combine_chunks().to_batches() == [batch]


def test_a_decoder_says_how_much_it_waits_for() -> None:
    columns = (Column("n", "bigint"),)
    batch = table_of(columns, [{"n": number} for number in range(250_000)])
    body = encoded(columns, batch)
    decoder = RecordStreamDecoder(columns)
    parts: list[pa.RecordBatch] = []
    while decoder.wanted_bytes <= len(body):
        almost = decoder.wanted_bytes - 1
        assert decoder.feed(body[:almost]) == []
        parts += decoder.feed(body[almost : almost + 1])
        body = body[almost + 1 :]
    assert parts
    parts += decoder.feed(body) + decoder.finish()
    assert pa.Table.from_batches(parts).combine_chunks().to_batches() == [batch]


def test_a_record_has_a_greatest_size() -> None:
    columns = (Column("s", "string"),)
    body = encoded(columns, table_of(columns, [{"s": "x" * 3_000_000}]))
    decoder = RecordStreamDecoder(columns, max_record_bytes=1 << 20)
    with pytest.raises(MalformedStreamError, match="more than 1048576 bytes"):
        _ = [decoder.feed(piece) for piece in in_pieces(body, [100_000])]
