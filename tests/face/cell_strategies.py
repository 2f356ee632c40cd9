"""Hypothesis strategies: MaxCompute types, and for each the Python values that a read gives."""

from __future__ import annotations

import datetime as dt
from decimal import Context, Decimal
from typing import Any

import numpy as np
from hypothesis import strategies as st

from aiopaiio.odps_types import OdpsType, parse_type
from aiopaiio.wide_time import WideInterval, WideTimestamp

_BITS = {"tinyint": 8, "smallint": 16, "int": 32, "bigint": 64, "interval_year_month": 32, "datetime": 64}

FLAT_TYPES = [
    *_BITS,
    *("float", "double", "boolean", "string", "char(7)", "varchar(9)", "json", "binary"),
    *("decimal(10,2)", "decimal(38,18)", "decimal", "date", "timestamp", "timestamp_ntz", "interval_day_time"),
]

_EXACT = Context(prec=100)
_raw_text = st.binary(max_size=12).map(lambda raw: raw.decode("utf-8", "surrogateescape"))


def type_texts() -> st.SearchStrategy[str]:
    """Any type, nested at most twice."""
    flat = st.sampled_from(FLAT_TYPES)
    keys = st.sampled_from(["bigint", "string", "boolean", "date", "timestamp"])

    def nested(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
        return st.one_of(
            inner.map(lambda item: f"array<{item}>"),
            st.tuples(keys, inner).map(lambda pair: f"map<{pair[0]},{pair[1]}>"),
            st.lists(inner, min_size=1, max_size=3).map(
                lambda fields: "struct<" + ",".join(f"f{n}:{field}" for n, field in enumerate(fields)) + ">"
            ),
        )

    return flat | st.recursive(flat, nested, max_leaves=3)


def cells(odps_type: str | OdpsType) -> st.SearchStrategy[Any]:
    """Values of a type as a read gives them, None among them."""
    parsed = parse_type(odps_type) if isinstance(odps_type, str) else odps_type
    return st.none() | values(parsed)


def values(odps_type: OdpsType) -> st.SearchStrategy[Any]:
    """Values other than None."""
    name, children = odps_type.name, odps_type.children
    if name in _BITS:
        limit = 1 << (_BITS[name] - 1)
        return st.integers(-limit, limit - 1)
    match name:
        case "float" | "double":
            return st.floats(width=32 if name == "float" else 64, allow_nan=False)
        case "boolean":
            return st.booleans()
        case "string" | "json":
            return st.text(max_size=12) | _raw_text
        case "char" | "varchar":
            return st.text(max_size=odps_type.parameters[0])
        case "binary":
            return st.binary(max_size=12)
        case "decimal":
            precision, scale = odps_type.parameters or (54, 18)
            limit = 10**precision - 1
            return st.integers(-limit, limit).map(lambda n: Decimal(n).scaleb(-scale, _EXACT))
        case "date":
            return st.dates()
        case "timestamp" | "timestamp_ntz":
            return st.datetimes() | st.integers(-(10**20), 10**21).map(_moment)
        case "interval_day_time":
            return st.timedeltas() | st.integers(-(10**20), 10**20).map(_interval)
        case "array":
            return st.lists(cells(children[0]), max_size=3)
        case "map":
            return st.dictionaries(values(children[0]), cells(children[1]), max_size=3)
        case "struct":
            return st.fixed_dictionaries(
                {field: cells(child) for field, child in zip(odps_type.field_names, children, strict=True)}
            )
    raise AssertionError(name)


_NANOS = 10**9
_NUMPY_NANOS = range(-(1 << 63) + 1, 1 << 63)
_EPOCH = dt.datetime(1970, 1, 1)


def _moment(nanos: int) -> Any:
    """Until past the year 9999."""
    if nanos % 1000:
        return np.datetime64(nanos, "ns") if nanos in _NUMPY_NANOS else WideTimestamp(*divmod(nanos, _NANOS))
    try:
        return _EPOCH + dt.timedelta(microseconds=nanos // 1000)
    except OverflowError:
        return np.datetime64(nanos // 1000, "us")


def _interval(nanos: int) -> Any:
    if nanos % 1000:
        return np.timedelta64(nanos, "ns") if nanos in _NUMPY_NANOS else WideInterval(*divmod(nanos, _NANOS))
    return dt.timedelta(microseconds=nanos // 1000)
