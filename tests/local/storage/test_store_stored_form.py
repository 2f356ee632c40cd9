"""What may be stored: nullability, lengths, digits, damaged buffers, timestamps."""

from __future__ import annotations

import struct
from typing import Any

import pyarrow as pa
import pytest
from store_rows import refuses

from aiopaiio.local.storage import Store, StoreError, TableName
from aiopaiio.local.storage.conform import MAX_FIELD_BYTES, StoredForm
from aiopaiio.schema import Column, arrow_schema, arrow_type
from aiopaiio.schema import TableSchema as Schema

WIDE = arrow_type("timestamp", wide_timestamps=True)


def form_one(type_text: str, values: Any, *, nullable: bool = True, wide: bool = False) -> pa.Array:
    column = Column("c", type_text, nullable)
    array = values
    if not isinstance(values, pa.Array):
        array = pa.array(values, arrow_type(type_text, wide_timestamps=wide))
    return StoredForm([column])(pa.record_batch([array], names=["c"])).column(0)


def malformed(what: str) -> pytest.RaisesExc[StoreError]:
    return refuses("MalformedDataStream", what)


def test_not_null_is_enforced_and_names_the_row() -> None:
    form = StoredForm([Column("a", "bigint"), Column("b", "string", nullable=False)])
    good = pa.record_batch([pa.array([None, 1]), pa.array(["x", ""])], names=["a", "b"])
    assert form(good).equals(good.cast(arrow_schema([Column("a", "bigint"), Column("b", "string")])))
    with malformed("b is NOT NULL, but it is NULL in row 11"):
        form(pa.record_batch([pa.array([1, 2]), pa.array(["x", None])], names=["a", "b"]), 10)
    with malformed("b is NOT NULL, but the rows have no such column"):
        form(pa.record_batch([pa.array([1])], names=["a"]))


@pytest.mark.parametrize("names", [["z"], ["a", "A"]])
def test_unknown_and_repeated_columns_are_refused(names: list[str]) -> None:
    with malformed("unknown or named twice"):
        StoredForm([Column("a", "bigint")])(pa.record_batch([pa.array([1])] * len(names), names=names))


def test_a_wrong_arrow_type_is_refused() -> None:
    with malformed("BIGINT cannot take Arrow values of int32"):
        form_one("bigint", pa.array([1], pa.int32()))


def test_char_is_padded_by_characters() -> None:
    assert form_one("char(3)", ["é", "abc", "", None]).to_pylist() == ["é  ", "abc", "   ", None]
    assert form_one("array<char(2)>", [["é"], None, [None, "ab"]]).to_pylist() == [["é "], None, [None, "ab"]]
    nested = form_one("map<string,struct<a:char(2),b:bigint>>", [[("k", {"a": "x", "b": 1})], None, [("q", None)]])
    assert nested.to_pylist() == [[("k", {"a": "x ", "b": 1})], None, [("q", None)]]


def test_texts_that_are_too_long_are_refused() -> None:
    assert form_one("varchar(3)", ["日本語", None]).to_pylist() == ["日本語", None]
    for type_text, values in (
        ("varchar(3)", ["abcd"]),
        ("char(3)", ["日本語x"]),
        ("array<varchar(3)>", [[], ["ok", "abcd"]]),
    ):
        with malformed(r"4 characters; (var)?char\(3\) can hold 3"):
            form_one(type_text, values)


def test_what_is_hidden_under_null_or_outside_a_slice_is_not_judged() -> None:
    offsets = pa.py_buffer(struct.pack("<4i", 0, 1, 2, 3))
    children = [pa.array(["ok", "too long", "ok"])]
    lists = pa.Array.from_buffers(pa.list_(pa.string()), 3, [pa.py_buffer(b"\x05"), offsets], children=children)
    assert form_one("array<varchar(3)>", lists).to_pylist() == [["ok"], None, ["ok"]]
    sliced = pa.array([["too long"], ["ok"]]).slice(1)
    assert form_one("array<varchar(3)>", sliced).to_pylist() == [["ok"]]
    maps = pa.array([[("a", "long")], [("b", "ok")]], pa.map_(pa.string(), pa.string()))
    assert form_one("map<string,varchar(3)>", maps.slice(1)).to_pylist() == [[("b", "ok")]]


def test_a_value_longer_than_the_field_limit_is_refused() -> None:
    assert len(form_one("string", ["x" * MAX_FIELD_BYTES])[0].as_py()) == MAX_FIELD_BYTES
    with malformed(f"{MAX_FIELD_BYTES + 1} bytes"):
        form_one("string", ["x" * (MAX_FIELD_BYTES + 1)])
    with malformed("bytes"):
        form_one("array<binary>", [[b"", b"x" * (MAX_FIELD_BYTES + 1)]])


def test_decimals_with_too_many_digits_are_refused() -> None:
    raw = pa.py_buffer((10**4).to_bytes(16, "little"))
    with malformed("does not fit in precision"):
        form_one("decimal(4,2)", pa.Array.from_buffers(pa.decimal128(4, 2), 1, [None, raw]))


def test_strings_may_be_any_bytes() -> None:
    raw = pa.Array.from_buffers(
        pa.string(), 1, [None, pa.py_buffer(struct.pack("<2i", 0, 3)), pa.py_buffer(b"\xff\x00\xfe")]
    )
    assert form_one("string", raw).cast(pa.binary()).to_pylist() == [b"\xff\x00\xfe"]


@pytest.mark.parametrize("offsets", [(0, 100, 2), (0, -5, 2), (2, 0, 2), (0, 2, 1)])
def test_damaged_offsets_never_reach_the_disk(offsets: tuple[int, ...]) -> None:
    buffers = [None, pa.py_buffer(struct.pack("<3i", *offsets)), pa.py_buffer(b"ab")]
    with malformed("column c"):
        form_one("string", pa.Array.from_buffers(pa.string(), 2, buffers))
    with malformed("column c"):
        form_one("binary", pa.Array.from_buffers(pa.binary(), 2, buffers))
    child = pa.array([1, 2])
    with malformed("column c"):
        form_one("array<bigint>", pa.Array.from_buffers(pa.list_(pa.int64()), 2, buffers[:2], children=[child]))


def instant(seconds: int, nanos: int = 0) -> dict[str, int]:
    return {"sec": seconds, "nano": nanos}


@pytest.mark.parametrize("type_text", ["timestamp", "timestamp_ntz"])
def test_timestamps_are_narrowed_when_all_of_a_batch_fit(type_text: str) -> None:
    array = form_one(type_text, [instant(-1, 999_999_999), None, instant(9_223_372_036, 854_775_807)], wide=True)
    assert array.type == pa.timestamp("ns")
    assert array.cast(pa.int64()).to_pylist() == [-1, None, 2**63 - 1]


@pytest.mark.parametrize("seconds", [9_223_372_037, -62_135_596_800, 2**62])
def test_timestamps_that_do_not_fit_stay_as_they_are(seconds: int) -> None:
    values = [instant(0), None, instant(seconds, 5)]
    array = form_one("timestamp", values, wide=True)
    assert (array.type, array.to_pylist()) == (WIDE, values)


def test_nested_timestamps() -> None:
    narrow = form_one("map<string,array<timestamp>>", [[("k", [instant(1, 2), None])], None], wide=True)
    assert narrow.type == arrow_type("map<string,array<timestamp>>")
    assert narrow.cast(pa.map_(pa.string(), pa.list_(pa.int64()))).to_pylist() == [[("k", [1_000_000_002, None])], None]
    far = [{"a": instant(2**40), "b": instant(1)}]
    assert form_one("struct<a:timestamp,b:interval_day_time>", far, wide=True).to_pylist() == far


def test_nanoseconds_out_of_range_are_refused() -> None:
    for nano in (-1, 1_000_000_000):
        with malformed("nanoseconds"):
            form_one("timestamp", [instant(1, nano)], wide=True)


def test_far_timestamps_are_stored_flagged_and_read_back(store: Store) -> None:
    name = TableName("demo", None, "far")
    store.create_table(name, Schema((Column("id", "bigint"), Column("at", "timestamp"))))
    upload = store.create_upload(name)
    with store.open_block(upload.id, 0) as block:
        for number, seconds in enumerate((1, 2, 2**40, 3)):
            values = pa.array([instant(seconds, number)], WIDE)
            block.write(pa.record_batch([pa.array([number]), values], names=["id", "at"]))
        block.write(pa.record_batch([pa.array([4]), pa.array([10**9], pa.timestamp("ns"))], names=["id", "at"]))
        assert block.commit().row_count == 5
    store.commit_upload(upload.id)
    session = store.create_download(name)
    assert store.download_needs_record_form(session.id)
    assert store.download_needs_record_form(session.id, ["at"])
    assert not store.download_needs_record_form(session.id, ["id"])
    batches = list(store.read_rows(session.id, 0, 9))
    assert [i for b in batches for i in b.column(0).to_pylist()] == [0, 1, 2, 3, 4]
    assert [b.schema.field("at").type for b in batches] == [pa.timestamp("ns"), WIDE, pa.timestamp("ns")]
    assert batches[1].column(1).to_pylist() == [instant(2**40, 2)]
