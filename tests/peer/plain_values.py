"""Values of every MaxCompute type: made by hypothesis in one plain form, and brought from and to the form of each peer.

The plain form: ``int`` for the integer types, DATETIME (milliseconds), TIMESTAMP and INTERVAL_DAY_TIME (nanoseconds),
INTERVAL_YEAR_MONTH (months); ``float``, ``bool``, ``str``, ``bytes``, ``Decimal``, ``date``; JSON as what it means;
``list``, ``dict``, and ``dict`` by field name for the nested types; ``None`` for NULL.
"""

from __future__ import annotations

import json
import string
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
from hypothesis import strategies as st
from odps.compat import Monthdelta

from aiopaiio.odps_types import OdpsType, parse_type

__all__ = ["as_plain", "comparable", "for_aiopaiio", "for_arrow", "for_pyodps", "types", "values"]

_EPOCH = datetime(1970, 1, 1)
_INTEGER_BITS = {"tinyint": 8, "smallint": 16, "int": 32, "bigint": 64}
_NANOS = 1_000_000_000
# PyODPS adds seconds and nanoseconds as pandas values one after the other, which overflows a bit earlier than the sum.
_MOST_NANOS = 9_000_000_000 * _NANOS

_LEAVES = [
    *_INTEGER_BITS,
    *("float", "double", "boolean", "string", "binary", "date", "datetime", "timestamp", "timestamp_ntz"),
    *("interval_day_time", "decimal"),
]


# ---------------------------------------------------------------------------------------------------------- generation


def types(*, arrow: bool, pyodps_arrow: bool) -> st.SearchStrategy[str]:
    """Types of columns: with ``arrow`` only those of the Arrow form; with ``pyodps_arrow`` those PyODPS has in it."""
    # In its Arrow form PyODPS takes decimal(p,0) for decimal(p,18), so that every value is off by a factor of 10**18.
    least_scale = int(pyodps_arrow)
    sized = st.one_of(
        st.integers(1, 38).flatmap(lambda p: st.integers(least_scale, min(p, 18)).map(lambda s: f"decimal({p},{s})")),
        st.integers(1, 100).map(lambda n: f"varchar({n})"),
    )
    leaf = st.one_of(st.sampled_from(_LEAVES), sized)
    key = st.sampled_from(["string", "bigint", "int", "date"])
    nested = st.recursive(
        leaf,
        lambda inner: st.one_of(
            inner.map(lambda child: f"array<{child}>"),
            st.tuples(key, inner).map(lambda pair: f"map<{pair[0]},{pair[1]}>"),
            st.lists(inner, min_size=1, max_size=3).map(
                lambda fields: "struct<" + ",".join(f"f{n}:{child}" for n, child in enumerate(fields)) + ">"
            ),
        ),
        max_leaves=4,
    )
    # A CHAR is padded on its way, which is only defined for a whole column.
    top = [leaf, nested, st.integers(1, 60).map(lambda n: f"char({n})")]
    if not arrow:
        top.append(st.just("interval_year_month"))
    if not pyodps_arrow:
        top.append(st.just("json"))
    return st.one_of(top)


def values(type_text: str) -> st.SearchStrategy[Any]:
    """Plain values of a column, NULL among them."""
    return st.one_of(st.none(), _values(parse_type(type_text)))


def _values(of: OdpsType) -> st.SearchStrategy[Any]:
    if of.name in _INTEGER_BITS:
        limit = 1 << (_INTEGER_BITS[of.name] - 1)
        # PyODPS refuses the smallest BIGINT.
        return st.integers(-limit + (of.name == "bigint"), limit - 1)
    children = [st.one_of(st.none(), _values(child)) for child in of.children]
    match of.name:
        case "float":
            return st.floats(width=32)
        case "double":
            return st.floats()
        case "boolean":
            return st.booleans()
        case "string":
            return _text(30)
        case "varchar" | "char":
            return _text(of.parameters[0])
        case "binary":
            return st.binary(max_size=30)
        case "date":
            return st.dates()
        case "datetime":
            return st.datetimes(min_value=datetime(2, 1, 1)).map(
                lambda moment: (moment - _EPOCH) // timedelta(0, 0, 1000)
            )
        case "timestamp" | "timestamp_ntz" | "interval_day_time":
            return st.integers(-_MOST_NANOS, _MOST_NANOS) | st.integers(-2 * _NANOS, 2 * _NANOS)
        case "interval_year_month":
            return st.integers(-9999 * 12, 9999 * 12)
        case "decimal":
            # The legacy type holds 36 digits before the point and 18 behind it.
            digits, scale = of.parameters or (54, 18)
            return st.integers(1 - 10**digits, 10**digits - 1).map(lambda number: _decimal(number, scale))
        case "json":
            leaves = st.none() | st.booleans() | st.integers(-(1 << 53), 1 << 53) | _text(10)
            return st.dictionaries(
                _text(5), st.recursive(leaves, lambda inner: st.lists(inner, max_size=3)), max_size=3
            )
        case "array":
            return st.lists(children[0], max_size=4)
        case "map":
            return st.dictionaries(_values(of.children[0]), children[1], max_size=4)
        case "struct":
            return st.fixed_dictionaries(dict(zip(of.field_names, children, strict=True)))
    raise AssertionError(of)


def _text(length: int) -> st.SearchStrategy[str]:
    return st.text(st.characters(exclude_categories=["Cs"]), max_size=min(length, 30)) | st.text(
        string.ascii_letters, max_size=min(length, 30)
    )


def _decimal(number: int, scale: int) -> Decimal:
    return Decimal((int(number < 0), tuple(map(int, str(abs(number)))), -scale))


# ------------------------------------------------------------------------------------------------- to what peers write


def for_pyodps(value: Any, of: OdpsType) -> Any:
    """A plain value as PyODPS's records take it. Its datetimes are in UTC here, as the fixture tells it."""
    if value is None:
        return None
    match of.name:
        case "datetime":
            return _EPOCH + timedelta(milliseconds=value)
        case "timestamp" | "timestamp_ntz":
            return pd.Timestamp(value, unit="ns")
        case "interval_day_time":
            return pd.Timedelta(value, unit="ns")
        case "interval_year_month":
            return Monthdelta(value)
        case "array":
            return [for_pyodps(each, of.children[0]) for each in value]
        case "map":
            return {for_pyodps(key, of.children[0]): for_pyodps(item, of.children[1]) for key, item in value.items()}
        case "struct":
            return tuple(
                for_pyodps(value[name], child) for name, child in zip(of.field_names, of.children, strict=True)
            )
    return value


def for_aiopaiio(value: Any, of: OdpsType) -> Any:
    """A plain value as our ``write`` takes it: any class it knows would do."""
    if value is None:
        return None
    match of.name:
        case "timestamp" | "timestamp_ntz":
            return np.datetime64(value, "ns") if value % 1000 else _EPOCH + timedelta(microseconds=value // 1000)
        case "interval_day_time":
            return np.timedelta64(value, "ns") if value % 1000 else timedelta(microseconds=value // 1000)
        case "json":
            return json.dumps(value)
        case "array":
            return [for_aiopaiio(each, of.children[0]) for each in value]
        case "map":
            return {key: for_aiopaiio(item, of.children[1]) for key, item in value.items()}
        case "struct":
            return {
                name: for_aiopaiio(value[name], child) for name, child in zip(of.field_names, of.children, strict=True)
            }
    return value


def for_arrow(value: Any, of: OdpsType) -> Any:
    """A plain value as ``pyarrow.array`` takes it for the column's Arrow type."""
    if value is None:
        return None
    match of.name:
        case "interval_day_time":
            return dict(zip(("sec", "nano"), divmod(value, _NANOS), strict=True))
        case "json":
            return json.dumps(value)
        case "array":
            return [for_arrow(each, of.children[0]) for each in value]
        case "map":
            return [(for_arrow(key, of.children[0]), for_arrow(item, of.children[1])) for key, item in value.items()]
        case "struct":
            return {
                name: for_arrow(value[name], child) for name, child in zip(of.field_names, of.children, strict=True)
            }
    return value


# ------------------------------------------------------------------------------------------------ from what peers read


def as_plain(value: Any, of: OdpsType) -> Any:
    """The plain form of a value as any reader gives it: PyODPS's records, our records, Arrow's Python values."""
    if value is None:
        return None
    match of.name:
        case "datetime":
            return value if isinstance(value, int) else (value - _EPOCH) // timedelta(milliseconds=1)
        case "timestamp" | "timestamp_ntz":
            if isinstance(value, np.datetime64):
                return int(value.astype("M8[ns]").astype(np.int64))
            if isinstance(value, pd.Timestamp):
                return int(value.as_unit("ns").value)
            return (value - _EPOCH) // timedelta(microseconds=1) * 1000
        case "interval_day_time":
            if isinstance(value, dict):
                return value["sec"] * _NANOS + value["nano"]
            if isinstance(value, np.timedelta64):
                return int(value.astype("m8[ns]").astype(np.int64))
            if isinstance(value, pd.Timedelta):
                return int(value.as_unit("ns").value)
            return value // timedelta(microseconds=1) * 1000
        case "interval_year_month":
            return value.total_months() if isinstance(value, Monthdelta) else value
        case "json":
            return json.loads(value) if isinstance(value, str) else value
        case "array":
            return [as_plain(each, of.children[0]) for each in value]
        case "map":
            pairs = value.items() if isinstance(value, dict) else value
            return {as_plain(key, of.children[0]): as_plain(item, of.children[1]) for key, item in pairs}
        case "struct":
            if not isinstance(value, dict):
                value = dict(zip(of.field_names, value, strict=True))
            assert tuple(value) == of.field_names
            return {name: as_plain(value[name], child) for name, child in zip(of.field_names, of.children, strict=True)}
    return value


def comparable(value: Any, of: OdpsType) -> Any:
    """A plain value in a form whose ``==`` tells values apart: 0.0 from -0.0, 1 from True, and NaN equal to itself."""
    if value is None:
        return None
    match of.name:
        case "float" | "double":
            return ("float", float(value).hex())
        case "char":
            # The service pads it with blanks.
            return ("str", value.ljust(of.parameters[0]))
        case "array":
            return [comparable(each, of.children[0]) for each in value]
        case "map":
            return {key: comparable(item, of.children[1]) for key, item in value.items()}
        case "struct":
            return {
                name: comparable(value[name], child) for name, child in zip(of.field_names, of.children, strict=True)
            }
        case "decimal":
            return ("decimal", value)
        case "json":
            return json.dumps(value, sort_keys=True)
    return (type(value).__name__, value)
