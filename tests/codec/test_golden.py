"""Known bytes of both wire forms, read and written."""

from __future__ import annotations

import datetime
import decimal

import pyarrow as pa
import pytest

from aiopaiio.arrow_stream import ArrowStreamDecoder, ArrowStreamEncoder
from aiopaiio.record_decoder import RecordStreamDecoder
from aiopaiio.record_encoder import RecordStreamEncoder
from aiopaiio.schema import Column, arrow_schema
from aiopaiio.varints import number_bytes

TWO_COLUMNS = (Column("id", "bigint"), Column("name", "string"))
TWO_ROWS = bytes.fromhex("0802 120161 80c0ff7f ea91d2b205  1202c3a9 80c0ff7f c7ccb0b306  f0ffff7f 04 f8ffff7f 87d1da37")
WITH_METRICS = (
    bytes.fromhex("0802 80c0ff7f cab8b49905 f0ffff7f02 0a4f")
    + b'{"PanguIOCost": 1, "ServerIOCost": 2, "ServerTotalCost": 9, "RateLimitCost": 0}'
    + bytes.fromhex("80f0ff7f b5c7eaa50c f8ffff7f a486b58808")
)
ARROW_128 = bytes.fromhex(
    "00000080"
    "ffffffff8800000014000000000000000c0016000600050008000c000c000000"
    "0003040018000000200000000000000000000a0018000c00040008000a000000"
    "3c00000010000000030000000000000000000000020000000000000000000000"
    "0100000000000000080000000000000018000000000000000000000001000000"
    "685fc8b0"
    "0300000000000000010000000000000005000000000000000100000000000000"
    "00000000000000000300000000000000"
    "1d35b974"
)


def test_two_records() -> None:
    batch = RecordStreamDecoder(TWO_COLUMNS).decode(TWO_ROWS)
    assert batch.to_pydict() == {"id": [1, None], "name": ["a", "é"]}
    encoder = RecordStreamEncoder(TWO_COLUMNS)
    assert encoder.encode(batch) + encoder.finish() == TWO_ROWS


def test_no_record() -> None:
    body = bytes.fromhex("f0ffff7f00f8ffff7f00")
    assert RecordStreamDecoder(TWO_COLUMNS).decode(body).num_rows == 0
    assert RecordStreamEncoder(TWO_COLUMNS).finish() == body


def test_a_record_of_nulls() -> None:
    body = bytes.fromhex("80c0ff7f00f0ffff7f02f8ffff7fc7979dc304")
    batch = RecordStreamDecoder(TWO_COLUMNS).decode(body)
    assert batch.to_pylist() == [{"id": None, "name": None}]
    encoder = RecordStreamEncoder(TWO_COLUMNS)
    assert encoder.encode(batch) + encoder.finish() == body


def test_metrics_in_the_footer() -> None:
    columns = TWO_COLUMNS[:1]
    batch = RecordStreamDecoder(columns).decode(WITH_METRICS)
    assert batch.to_pydict() == {"id": [1]}
    encoder = RecordStreamEncoder(columns)
    metrics = {"PanguIOCost": 1, "ServerIOCost": 2, "ServerTotalCost": 9, "RateLimitCost": 0}
    assert encoder.encode(batch) + encoder.finish(metrics=metrics) == WITH_METRICS


ONE_VALUE = [
    ("bigint", -2, "0803", 0x9762E507, 0x264544F3),
    ("int", 1, "0802", 0x532D1C4A, 0x810D4324),
    ("date", datetime.date(1970, 1, 2), "0802", 0x532D1C4A, 0x810D4324),
    ("smallint", -1, "0801", 0xDE5E9820, 0x173490C3),
    ("tinyint", 127, "08fe01", 0x3105C7AC, 0xE796648C),
    ("float", 1.5, "0d0000c03f", 0xAF3086C5, 0xF1865C01),
    ("double", 1.5, "09000000000000f83f", 0xAD6FF93E, 0x7E1594D4),
    ("boolean", True, "0801", 0x8F089A9A, 0x77CAD147),
    ("string", "ab", "0a026162", 0xABD94977, 0x1090AD10),
    ("char(2)", "ab", "0a026162", 0xABD94977, 0x1090AD10),
    ("varchar(5)", "ab", "0a026162", 0xABD94977, 0x1090AD10),
    ("binary", b"\x00\xff", "0a0200ff", 0x156744C2, 0x88E3E56D),
    ("datetime", datetime.datetime(1970, 1, 1, 0, 0, 1), "08d00f", 0xC32E2820, 0x1DDA3E25),
    ("timestamp", 1_000_000_002, "0a0204", 0x3E6A60A5, 0xEBF25633),
    ("timestamp_ntz", 1_000_000_002, "0a0204", 0x3E6A60A5, 0xEBF25633),
    ("timestamp_ntz", -500_000_000, "0a018094ebdc03", 0x61145038, 0xD547F0F8),
    ("timestamp_ntz", -1_999_999_999, "0a0302", 0xFB00EE4B, 0x59A6FEED),
    ("decimal(10,2)", decimal.Decimal("1.50"), "0a04312e3530", 0x033151FC, 0x507C3C91),
    ("json", '{"a": 1}', "0a087b2261223a20317d", 0xF9755F73, 0x2D6906C5),
    ("array<bigint>", [1, None], "0a02000201", 0x532D1C4A, 0x810D4324),
    ("map<string,bigint>", [("k", 2)], "0a0100016b010004", 0x84F88742, 0x3F93652A),
    ("struct<a:string,b:bigint>", {"a": "x", "b": None}, "0a00017801", 0x8622155B, 0x29670B50),
    ("interval_day_time", {"sec": 86400, "nano": 5}, "0a80c60a0a", 0xAD4C7E9F, 0x926EBB69),
    ("interval_year_month", 13, "081a", 0x300B9AFD, 0xCAA8C495),
]


@pytest.mark.parametrize(("type_text", "value", "field", "checksum", "checksums"), ONE_VALUE)
def test_one_value(type_text: str, value: object, field: str, checksum: int, checksums: int) -> None:
    columns = (Column("c", type_text),)
    batch = pa.record_batch([pa.array([value], arrow_schema(columns).types[0])], schema=arrow_schema(columns))
    body = b"".join(
        [
            bytes.fromhex(field),
            bytes.fromhex("80c0ff7f"),
            number_bytes(checksum),
            bytes.fromhex("f0ffff7f02f8ffff7f"),
            number_bytes(checksums),
        ]
    )
    assert RecordStreamDecoder(columns).decode(body).equals(batch, check_metadata=True)
    encoder = RecordStreamEncoder(columns)
    assert encoder.encode(batch) + encoder.finish() == body
    # A checksum whose sign was extended to 64 bits, as some writers do.
    if checksum >> 31:
        ten_bytes = number_bytes(checksum | 0xFFFFFFFF00000000)
        assert RecordStreamDecoder(columns).decode(body.replace(number_bytes(checksum), ten_bytes)).equals(batch)


def test_arrow_in_frames() -> None:
    schema = pa.schema([("id", pa.int64())])
    decoder = ArrowStreamDecoder(schema)
    batches = decoder.feed(ARROW_128) + decoder.finish()
    assert [batch.to_pydict() for batch in batches] == [{"id": [1, None, 3]}]
    encoder = ArrowStreamEncoder(schema, chunk_bytes=128)
    written = b"".join([*encoder.encode(batches[0]), encoder.finish()])
    assert len(written) == len(ARROW_128)
    decoder = ArrowStreamDecoder(schema)
    assert decoder.feed(written) + decoder.finish() == batches


def test_arrow_in_one_frame() -> None:
    payload = ARROW_128[4:132] + ARROW_128[136:184]
    body = bytes.fromhex("00010000") + payload + bytes.fromhex("1d35b974")
    decoder = ArrowStreamDecoder(pa.schema([("id", pa.int64())]))
    assert decoder.feed(body) == []
    assert [batch.num_rows for batch in decoder.finish()] == [3]


@pytest.mark.parametrize("body", ["0001000000000000", "00000000"])
def test_arrow_without_rows(body: str) -> None:
    decoder = ArrowStreamDecoder(pa.schema([("id", pa.int64())]))
    assert decoder.feed(bytes.fromhex(body)) == []
    assert decoder.finish() == []


def test_arrow_without_rows_is_written_with_its_frame_size() -> None:
    assert ArrowStreamEncoder(pa.schema([("id", pa.int64())])).finish().hex() == "0001000000000000"
