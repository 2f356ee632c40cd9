"""The record form cut short, damaged or made up: always a typed error, never rows that were not sent."""

from __future__ import annotations

import re

import pyarrow as pa
import pytest
from codec_rows import batches
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aiopaiio.errors import ChecksumError, DataError, MalformedStreamError, TruncatedStreamError
from aiopaiio.record_decoder import RecordStreamDecoder
from aiopaiio.record_encoder import RecordStreamEncoder
from aiopaiio.schema import Column, arrow_schema

COLUMNS = (
    Column("n", "bigint"),
    Column("s", "string"),
    Column("d", "double"),
    Column("b", "boolean"),
    Column("t", "timestamp"),
    Column("a", "array<string>"),
    Column("m", "map<bigint,struct<x:float,y:string>>"),
    Column("v", "vector(float,2)"),
    Column("p", "decimal(9,2)"),
)
ROWS = [
    {"n": 1, "s": "one", "d": 1.5, "b": True, "t": 10**18, "a": ["x", None], "m": [(1, {"x": 1.0, "y": None})]},
    {"n": None, "s": "", "d": None, "b": False, "v": [1.0, 2.0], "p": None},
    {"n": -(1 << 63), "s": "é" * 10, "t": -1, "a": [], "m": []},
]
BATCH = pa.RecordBatch.from_pylist(ROWS, schema=arrow_schema(COLUMNS))


def body_with_metrics() -> bytes:
    encoder = RecordStreamEncoder(COLUMNS)
    return encoder.encode(BATCH) + encoder.finish(metrics={"ServerTotalCost": 9})


def rows_of(body: bytes, piece_bytes: int) -> pa.Table:
    decoder = RecordStreamDecoder(COLUMNS)
    decoder._gather_bytes = decoder._wanted_bytes = 1
    found = []
    for start in range(0, len(body), piece_bytes):
        found += decoder.feed(body[start : start + piece_bytes])
    found += decoder.finish()
    return pa.Table.from_batches(found, BATCH.schema)


@pytest.mark.parametrize("damaged", [False, True])
def test_the_records_before_a_fault_are_there_to_be_taken(damaged: bool) -> None:
    columns = (Column("n", "bigint"),)
    batch = pa.record_batch({"n": pa.array(range(50_000), pa.int64())}, schema=arrow_schema(columns))
    encoder = RecordStreamEncoder(columns)
    records = bytearray(encoder.encode(batch))
    at = len(records) * 3 // 4
    if damaged:
        records[at] ^= 4
    body = bytes(records) + encoder.finish() if damaged else bytes(records[:at])
    decoder = RecordStreamDecoder(columns, gather_limit_bytes=1 << 16)
    found: list[pa.RecordBatch] = []
    with pytest.raises(DataError):
        for start in range(0, len(body), 50_000):
            found += decoder.feed(body[start : start + 50_000])
        found += decoder.finish()
    found += decoder.take()
    count = sum(part.num_rows for part in found)
    # All that were whole, each once; the record that is cut or damaged comes next.
    before, after = (len(RecordStreamEncoder(columns).encode(batch.slice(0, n))) for n in (count, count + 1))
    assert before <= at < after
    assert pa.Table.from_batches(found).combine_chunks().to_batches() == [batch.slice(0, count)]
    assert not decoder.at_footer
    with pytest.raises(DataError):
        decoder.finish()
    assert decoder.take() == []


@pytest.mark.parametrize("at", [0, 1, 17_000, 19_999])
@pytest.mark.parametrize(
    ("written", "read", "bad"),
    [
        ("bigint", Column("n", "smallint"), 1 << 20),
        ("timestamp", Column("n", "timestamp"), {"sec": 1 << 40, "nano": 0}),
        ("string", Column("n", "decimal(9,2)"), b"x"),
    ],
)
def test_the_records_before_a_value_that_does_not_fit_are_there_to_be_taken(
    written: str, read: Column, bad: object, at: int
) -> None:
    columns = (Column("n", written),)
    cells = [None] * at + [bad] + [None] * (20_000 - at - 1)
    batch = pa.RecordBatch.from_pylist([{"n": cell} for cell in cells], arrow_schema(columns, wide_timestamps=True))
    encoder = RecordStreamEncoder(columns)
    decoder = RecordStreamDecoder([read])
    with pytest.raises(DataError, match=r"does not fit|outside what|not a value") as caught:
        assert decoder.feed(encoder.encode(batch) + encoder.finish()) == []
        decoder.finish()
    assert not caught.value.retryable  # the checksum was right: no other answer would come
    assert sum(part.num_rows for part in decoder.take()) == at
    with pytest.raises(type(caught.value), match=re.escape(str(caught.value))):
        decoder.finish()
    assert decoder.take() == []


def test_only_a_fault_behind_all_records_is_one_of_the_footer() -> None:
    body = body_with_metrics()
    decoder = RecordStreamDecoder(COLUMNS)
    decoder.feed(body[:-1] + b"\0")
    with pytest.raises(ChecksumError):
        decoder.finish()
    assert decoder.at_footer


def test_no_more_is_gathered_than_is_allowed() -> None:
    body = body_with_metrics()
    decoder = RecordStreamDecoder(COLUMNS, gather_limit_bytes=100)
    assert decoder.feed(body[:99]) == []
    assert (decoder.pending_bytes, decoder.wanted_bytes) == (99, 1)
    assert decoder.feed(body[99:100])[0].num_rows > 0
    assert decoder.pending_bytes < 99


def test_whole() -> None:
    assert rows_of(body_with_metrics(), 1).to_pylist() == BATCH.to_pylist()
    assert rows_of(body_with_metrics(), 10_000).to_pylist() == BATCH.to_pylist()


def test_cut_at_every_byte() -> None:
    body = body_with_metrics()
    for cut in range(len(body)):
        with pytest.raises(TruncatedStreamError):
            RecordStreamDecoder(COLUMNS).decode(body[:cut])
        with pytest.raises(TruncatedStreamError):
            rows_of(body[:cut], 7)


@pytest.mark.parametrize("step", [11, pytest.param(1, marks=pytest.mark.slow)])
def test_bits_flipped(step: int) -> None:
    body = body_with_metrics()
    for bit in range(0, 8 * len(body), step):
        damaged = bytearray(body)
        damaged[bit >> 3] ^= 1 << (bit & 7)
        with pytest.raises(DataError) as caught:
            RecordStreamDecoder(COLUMNS).decode(damaged)
        assert caught.value.retryable, caught.value


@pytest.mark.parametrize("garbage", [b"\0", b"\x08\x02", b"\x80\xc0\xff\x7f\x00", bytes(100)])
def test_bytes_after_the_footer(garbage: bytes) -> None:
    for piece_bytes in (1, 1000):
        with pytest.raises(MalformedStreamError, match="after the footer"):
            rows_of(body_with_metrics() + garbage, piece_bytes)


def test_a_record_left_out() -> None:
    encoder = RecordStreamEncoder(COLUMNS[:1])
    first, second = (encoder.encode(pa.record_batch([pa.array([number])], ["n"])) for number in (1, 2))
    footer = encoder.finish()
    with pytest.raises(MalformedStreamError, match="counts 2 rows, the body has 1"):
        RecordStreamDecoder(COLUMNS[:1]).decode(first + footer)
    with pytest.raises(ChecksumError, match="all records"):
        RecordStreamDecoder(COLUMNS[:1]).decode(second + first + footer)


def test_fields_out_of_order_are_refused() -> None:
    # Both fields and a checksum of them, but column 2 before column 1.
    columns = (Column("a", "bigint"), Column("b", "bigint"))
    with pytest.raises(MalformedStreamError, match="a field that is not due"):
        RecordStreamDecoder(columns).decode(bytes.fromhex("10020802 80c0ff7f 00 f0ffff7f02 f8ffff7f00"))


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes(body: bytes) -> None:
    with pytest.raises(DataError):
        RecordStreamDecoder(COLUMNS).decode(body)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(batches(max_rows=4), st.data())
def test_any_damage(table: tuple[tuple[Column, ...], pa.RecordBatch], data: st.DataObject) -> None:
    columns, batch = table
    encoder = RecordStreamEncoder(columns)
    body = encoder.encode(batch) + encoder.finish()
    start = data.draw(st.integers(0, len(body) - 1))
    stop = data.draw(st.integers(start, min(len(body), start + 12)))
    damaged = body[:start] + data.draw(st.binary(max_size=12)) + body[stop:]
    if damaged == body:
        return
    try:
        decoded = RecordStreamDecoder(columns).decode(damaged)
    except DataError:
        return
    # A number may be spelled in another way; then the rows are the same all the same.
    assert decoded.equals(batch)
