"""Random tables for the codec tests: columns of any type, and batches of rows for them."""

from __future__ import annotations

import datetime
import decimal
from typing import Any

import pyarrow as pa
from hypothesis import strategies as st

from aiopaiio.odps_types import OdpsType, parse_type
from aiopaiio.schema import Column, arrow_schema

FLAT_TYPES = (
    "bigint",
    "int",
    "smallint",
    "tinyint",
    "float",
    "double",
    "boolean",
    "string",
    "binary",
    "varchar(20)",
    "char(7)",
    "json",
    "datetime",
    "date",
    "timestamp",
    "timestamp_ntz",
    "interval_day_time",
    "interval_year_month",
    "decimal",
    "decimal(38,18)",
    "decimal(10,2)",
    "decimal(5,0)",
)

_EPOCH = datetime.datetime(1970, 1, 1)


def types(flat: tuple[str, ...] = FLAT_TYPES, *, nested: bool = True) -> st.SearchStrategy[str]:
    """Type texts; with ``nested`` also arrays, maps, structs and vectors of them."""
    leaves = st.sampled_from(flat)
    if not nested:
        return leaves
    vectors = st.sampled_from(["vector(float,3)", "vector(double,1)"])
    keys = st.sampled_from([name for name in ("bigint", "string", "tinyint", "boolean") if name in flat])
    return st.recursive(
        leaves | vectors,
        lambda inner: (
            inner.map("array<{}>".format)
            | st.tuples(keys, inner).map("map<{0[0]},{0[1]}>".format)
            | st.lists(inner, min_size=1, max_size=3).map(
                lambda fields: "struct<" + ",".join(f"f{n}:{field}" for n, field in enumerate(fields)) + ">"
            )
        ),
        max_leaves=4,
    )


def values(odps_type: OdpsType, *, peer: bool = False) -> st.SearchStrategy[Any]:
    """Values as ``pyarrow.array`` takes them; with ``peer`` only such as PyODPS can read and write."""
    name = odps_type.name
    match name:
        case "bigint":
            return st.integers(-(1 << 63), (1 << 63) - 1)
        case "int":
            return st.integers(-(1 << 31), (1 << 31) - 1)
        case "smallint":
            return st.integers(-(1 << 15), (1 << 15) - 1)
        case "tinyint":
            return st.integers(-128, 127)
        case "float":
            return st.floats(width=32, allow_nan=False, allow_infinity=not peer)
        case "double":
            return st.floats(allow_nan=False, allow_infinity=not peer)
        case "boolean":
            return st.booleans()
        case "string":
            return st.text(max_size=20)
        case "varchar" | "char":
            return st.text(max_size=odps_type.parameters[0])
        case "json":
            return st.sampled_from(['{"a": 1}', "[1, null]", '"x"', "1.5", "[]"])
        case "binary":
            return st.binary(max_size=20)
        case "datetime":
            return st.datetimes(datetime.datetime(1971, 1, 1), datetime.datetime(2200, 1, 1)).map(
                lambda value: value.replace(microsecond=value.microsecond // 1000 * 1000)
            )
        case "date":
            return st.dates()
        case "timestamp" | "timestamp_ntz":
            return st.integers(0, 1 << 62) if peer else st.integers(-(1 << 63), (1 << 63) - 1)
        case "interval_day_time":
            seconds = st.integers(0, 10**8) if peer else st.integers(-(1 << 62), 1 << 62)
            return st.fixed_dictionaries({"sec": seconds, "nano": st.integers(0, 999_999_999)})
        case "interval_year_month":
            return st.integers(0, 9999) if peer else st.integers(-(1 << 31), (1 << 31) - 1)
        case "decimal":
            precision, scale = odps_type.parameters or (54, 18)
            # PyODPS counts the digits of a number and of its scale together.
            digits = precision - 1
            return st.integers(-(10**digits) + 1, 10**digits - 1).map(
                lambda number: decimal.Decimal(number).scaleb(-scale, decimal.Context(prec=80))
            )
        case "array":
            return st.lists(_nullable(values(odps_type.children[0], peer=peer)), max_size=4)
        case "vector":
            dimension = odps_type.parameters[0]
            return st.lists(values(odps_type.children[0], peer=True), min_size=dimension, max_size=dimension)
        case "map":
            keys = values(odps_type.children[0], peer=peer)
            items = _nullable(values(odps_type.children[1], peer=peer))
            return st.dictionaries(keys, items, max_size=3).map(lambda entries: list(entries.items()))
        case "struct":
            fields = {
                field: _nullable(values(child, peer=peer))
                for field, child in zip(odps_type.field_names, odps_type.children, strict=True)
            }
            return st.fixed_dictionaries(fields)
    raise AssertionError(name)


def _nullable(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | strategy


@st.composite
def batches(
    draw: st.DrawFn,
    flat: tuple[str, ...] = FLAT_TYPES,
    *,
    nested: bool = True,
    peer: bool = False,
    max_rows: int = 8,
) -> tuple[tuple[Column, ...], pa.RecordBatch]:
    """Columns and a batch of rows for them, at times a part of a longer one."""
    type_texts = draw(st.lists(types(flat, nested=nested), min_size=1, max_size=20))
    columns = tuple(Column(f"c{number}", text) for number, text in enumerate(type_texts))
    rows = draw(st.integers(0, max_rows))
    schema = arrow_schema(columns)
    arrays = []
    for column, field in zip(columns, schema, strict=True):
        cells = values(parse_type(column.type), peer=peer)
        cells = draw(st.sampled_from([cells, _nullable(cells)]))
        arrays.append(pa.array(draw(st.lists(cells, min_size=rows, max_size=rows)), field.type))
    batch = pa.record_batch(arrays, schema=schema)
    start = draw(st.integers(0, rows))
    return columns, draw(st.sampled_from([batch, batch.slice(start)]))


def in_pieces(body: bytes, sizes: list[int]) -> list[bytes]:
    """The body cut into pieces of the given sizes, over and over."""
    pieces, start, number = [], 0, 0
    while start < len(body):
        size = max(1, sizes[number % len(sizes)])
        pieces.append(body[start : start + size])
        start += size
        number += 1
    return pieces
