"""Columns, type texts and Arrow types."""

from __future__ import annotations

import pickle

import pyarrow as pa
import pytest
from codec_rows import types
from hypothesis import given
from odps import types as pyodps_types

from aiopaiio.errors import ColumnError, SchemaMismatchError
from aiopaiio.odps_types import ONE_WORD, parse_type
from aiopaiio.schema import SECONDS_NANOS, Column, TableSchema, arrow_schema, arrow_type, arrow_wire_supported

SCHEMA = TableSchema(
    (Column("Id", "BIGINT", nullable=False, comment="key"), Column("name", "string")),
    (Column("ds", "string"), Column("HH", "bigint")),
)


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("BIGINT", "bigint"),
        ("decimal(10)", "decimal(10,0)"),
        ("Decimal", "decimal"),
        ("Map< STRING , Array<decimal(3)> >", "map<string,array<decimal(3,0)>>"),
        ("STRUCT<A:string, `b c`:bigint>", "struct<a:string,`b c`:bigint>"),
        ("VECTOR(FLOAT, 3)", "vector(float,3)"),
        ("geometry", "geometry"),
    ],
)
def test_normal_type_text(text: str, normal: str) -> None:
    assert Column("c", text).type == normal
    assert Column("c", normal) == Column("C", text)


@pytest.mark.parametrize("word", sorted(ONE_WORD))
def test_types_of_one_word_are_those_of_pyodps(word: str) -> None:
    assert parse_type(f" {word.upper()} ") == parse_type(word)
    assert str(pyodps_types.validate_data_type(word)).lower() == word == str(parse_type(word))


@given(types())
def test_normal_type_text_is_stable(text: str) -> None:
    assert str(parse_type(str(parse_type(text)))) == str(parse_type(text))


@pytest.mark.parametrize(
    "text",
    ["", "array<", "array<bigint", "array<bigint>x", "struct<a:int,a:int>", "decimal(5,7)", "decimal(77,0)", "nix"],
)
def test_not_a_type(text: str) -> None:
    with pytest.raises(SchemaMismatchError):
        arrow_type(text)


def test_a_type_that_cannot_be_carried() -> None:
    with pytest.raises(SchemaMismatchError, match="geography"):
        arrow_schema([Column("g", "geography")])


@pytest.mark.parametrize(
    ("text", "arrow"),
    [
        ("tinyint", pa.int8()),
        ("char(3)", pa.string()),
        ("json", pa.string()),
        ("datetime", pa.timestamp("ms")),
        ("date", pa.date32()),
        ("decimal(38,2)", pa.decimal128(38, 2)),
        ("decimal", pa.decimal256(54, 18)),
        ("interval_day_time", SECONDS_NANOS),
        ("interval_year_month", pa.int32()),
        ("vector(double,2)", pa.list_(pa.float64())),
        ("map<string,array<float>>", pa.map_(pa.string(), pa.list_(pa.float32()))),
        ("struct<a:binary,b:boolean>", pa.struct([("a", pa.binary()), ("b", pa.bool_())])),
    ],
)
def test_arrow_types(text: str, arrow: pa.DataType) -> None:
    assert arrow_type(text) == arrow


def test_timestamps_are_narrow_or_wide() -> None:
    assert arrow_type("array<timestamp>") == pa.list_(pa.timestamp("ns"))
    assert arrow_type("array<timestamp_ntz>", wide_timestamps=True) == pa.list_(SECONDS_NANOS)


def test_the_type_is_in_the_metadata() -> None:
    assert arrow_schema(SCHEMA.columns).field("id").metadata == {b"odps.type": b"bigint"}


def test_the_arrow_form_knows_no_months() -> None:
    assert arrow_wire_supported(SCHEMA.columns)
    assert not arrow_wire_supported([Column("c", "array<struct<m:interval_year_month>>")])


def test_json_round_trip() -> None:
    assert TableSchema.from_tunnel_json(SCHEMA.to_tunnel_json()) == SCHEMA
    first = SCHEMA.to_tunnel_json()["columns"][0]
    assert first["nullable"] is False
    assert first["column_id"] == ""


@pytest.mark.parametrize("value", [{}, {"columns": [{"name": "a"}]}, {"columns": [1]}, {"columns": None}])
def test_json_that_is_no_schema(value: dict[str, object]) -> None:
    with pytest.raises(SchemaMismatchError):
        TableSchema.from_tunnel_json(value)


def test_columns_by_name() -> None:
    assert SCHEMA.names == ("id", "name")
    assert SCHEMA.column("ID").comment == "key"
    assert SCHEMA.column("hh").type == "bigint"
    with pytest.raises(ColumnError, match="nix"):
        SCHEMA.column("nix")


def test_selected_columns() -> None:
    chosen = SCHEMA.select(["hh", "NAME"])
    assert chosen.names == ("name",)
    assert [column.name for column in chosen.partition_columns] == ["hh"]
    with pytest.raises(ColumnError, match="twice"):
        SCHEMA.select(["id", "ID"])


def test_two_columns_of_one_name() -> None:
    with pytest.raises(SchemaMismatchError, match="more than once: id"):
        TableSchema(SCHEMA.columns, (Column("ID", "string"),))


def test_schemas_are_values() -> None:
    assert pickle.loads(pickle.dumps(SCHEMA)) == SCHEMA
    assert len({SCHEMA, TableSchema(SCHEMA.columns, SCHEMA.partition_columns)}) == 1
