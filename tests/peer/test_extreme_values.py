"""Values at the ends of their types, and columns in columns in columns: by every way in and every way out the same."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pytest

from aiopaiio.odps_types import parse_type

from .conftest import Peers
from .plain_values import values
from .test_made_tables import check
from .ways import WRITERS

pytestmark = pytest.mark.filterwarnings("ignore::Warning:odps", "ignore::Warning:pandas")

_EPOCH = datetime(1970, 1, 1)
_NANOS = 1_000_000_000
_DAY = 86_400


def digits(precision: int, scale: int) -> list[Decimal]:
    """All digits nine, the smallest step, zero, and one digit at each end."""
    most = 10**precision - 1
    return [_decimal(number, scale) for number in (most, -most, 1, -1, 0, 10 ** (precision - 1))]


def _decimal(number: int, scale: int) -> Decimal:
    return Decimal((int(number < 0), tuple(map(int, str(abs(number)))), -scale))


def moments() -> list[int]:
    """Nanoseconds: around 1970, the whole second before it, the first and the last that 64 bits hold, and odd ones."""
    return [0, 1, -1, 999, -999, -_NANOS, -_NANOS - 1, -_NANOS + 1, 9_000_000_000 * _NANOS, -9_000_000_000 * _NANOS]


def _milliseconds(moment: datetime) -> int:
    return int((moment - _EPOCH).total_seconds()) * 1000


def _nested(depth: int) -> tuple[str, Any]:
    """A type with this many levels, and a value of it."""
    text, value = "bigint", 7
    for level in range(depth):
        match level % 3:
            case 0:
                text, value = f"array<{text}>", [value, None, value]
            case 1:
                text, value = f"map<string,{text}>", {"": value, "k": None}
            case 2:
                text, value = f"struct<f0:{text},f1:{text}>", {"f0": value, "f1": None}
    return text, value


TABLES: dict[str, dict[str, list[Any]]] = {
    "decimals": {
        "decimal(38,18)": digits(38, 18),
        "decimal(38,1)": digits(38, 1),
        "decimal(18,18)": digits(18, 18),
        "decimal(1,1)": digits(1, 1),
        "decimal": digits(54, 18),
    },
    "whole decimals": {"decimal(38,0)": digits(38, 0), "decimal(1,0)": digits(1, 0)},
    "moments": {
        "timestamp": moments(),
        "timestamp_ntz": moments(),
        "interval_day_time": moments(),
        "date": [date.min, date.max, date(1969, 12, 31), date(1970, 1, 1), date(1582, 10, 10), date(2024, 2, 29)],
        "datetime": [-1, 1, 0, _milliseconds(datetime(2, 1, 1)), _milliseconds(datetime(9999, 12, 31)), -_DAY * 1000],
    },
    "whole numbers": {
        "tinyint": [-128, 127],
        "smallint": [-(1 << 15), (1 << 15) - 1],
        "int": [-(1 << 31), (1 << 31) - 1],
        "bigint": [1 - (1 << 63), (1 << 63) - 1],  # the service has no smaller one, and PyODPS refuses it
    },
    "floats": {
        "double": [5e-324, -5e-324, 1.7976931348623157e308, float("inf"), float("-inf"), float("nan"), -0.0, 0.1],
        "float": [1.401298464324817e-45, 3.4028234663852886e38, float("inf"), float("nan"), -0.0],
    },
    "texts": {
        "string": ["", "\x00", "a\x00b", "\U0010ffff", "e\u0301", "é", "\r\n", '"', "\\N", "x" * 100_000],
        "binary": [b"", b"\x00", b"\xff\xfe", bytes(range(256)), b"x" * 100_000],
        "varchar(3)": ["", "ab\U0010ffff", "   "],
        "char(3)": ["", "é", "abc"],
    },
    "nested": {text: [value] for text, value in map(_nested, (1, 2, 3, 6, 9))},
    "empty ones": {
        "array<string>": [[], [None], [""], [None, ""]],
        "map<string,array<bigint>>": [{}, {"": []}, {"": None}, {"a": [None]}],
        "struct<f0:array<bigint>,f1:string>": [{"f0": None, "f1": None}, {"f0": [], "f1": ""}],
    },
}


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("writer", WRITERS)
def test_extreme_values(peers: Peers, writer: str, table: str) -> None:
    columns = TABLES[table]
    if WRITERS[writer].pyodps_arrow and table == "whole decimals":
        pytest.skip("PyODPS has the wrong Arrow type for decimals without a fraction")
    count = max(map(len, columns.values()))
    # Each value of each column, then NULLs.
    rows = [[cells[row] if row < len(cells) else None for cells in columns.values()] for row in range(count + 1)]
    check(peers, writer, (list(columns), rows))


def test_the_strategy_reaches_every_type(peers: Peers) -> None:
    """A guard of the tables above: their types are types the strategies know."""
    for columns in TABLES.values():
        for text in columns:
            assert values(text) is not None
            parse_type(text)
