"""Rows as the CSV text of a statement's result: a header, ``\\N`` for NULL, times in UTC, nested values as JSON."""

from __future__ import annotations

import base64
import csv
import io
import json
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

import pyarrow as pa

from aiopaiio.local.answers import Refused
from aiopaiio.local.wide_timestamps import widen_timestamps
from aiopaiio.odps_types import OdpsType
from aiopaiio.schema import Column

__all__ = ["csv_text"]

_NULL = "\\N"
_MOST_CHARACTERS = 64 << 20
_EPOCH = datetime(1970, 1, 1)


def csv_text(batches: Iterable[pa.RecordBatch], columns: Sequence[Column]) -> str:
    """All rows of ``batches``, which have ``columns`` in this order. Bytes that are not UTF-8 become U+FFFD.

    Raises :class:`Refused` when the text grows beyond 64 Mi characters: it is made in memory.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([column.name for column in columns])
    types = [column.odps_type for column in columns]
    for batch in batches:
        cells = [_texts(array, kind) for array, kind in zip(widen_timestamps(batch).columns, types, strict=True)]
        writer.writerows(zip(*cells, strict=True))
        if out.tell() > _MOST_CHARACTERS:
            raise Refused("MaxMessageLengthExceeded", "The rows are too large for CSV; read them through the tunnel.")
    return out.getvalue()


def _texts(array: pa.Array, kind: OdpsType) -> list[str]:
    if pa.types.is_string(array.type):
        array = array.cast(pa.binary())
    return [_NULL if value is None else _text(value, kind) for value in array.to_pylist()]


def _text(value: Any, kind: OdpsType) -> str:
    plain = _plain(value, kind)
    if isinstance(plain, bool):
        return "true" if plain else "false"
    return plain if isinstance(plain, str) else json.dumps(plain, ensure_ascii=False)


def _plain(value: Any, kind: OdpsType) -> Any:
    """A JSON value: text for what JSON has no type for."""
    if value is None:
        return None
    match kind.name:
        case "array" | "vector":
            return [_plain(item, kind.children[0]) for item in value]
        case "map":
            key_type, item_type = kind.children
            return {str(_plain(key, key_type)): _plain(item, item_type) for key, item in value}
        case "struct":
            names = zip(kind.field_names, kind.children, strict=True)
            return {name: _plain(value[name], child) for name, child in names}
        case "datetime":
            return value.strftime("%Y-%m-%d %H:%M:%S")
        case "timestamp" | "timestamp_ntz":
            return _timestamp(value)
        case "interval_day_time":
            return f"{value['sec']}.{value['nano']:09d}"
        case "binary":
            return base64.b64encode(value).decode("ascii")
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value if isinstance(value, bool | int | float | str) else str(value)


def _timestamp(value: dict[str, int]) -> str:
    fraction = f".{value['nano']:09d}".rstrip("0").rstrip(".")
    try:
        whole = _EPOCH + timedelta(seconds=value["sec"])
    except OverflowError:
        return f"{value['sec']}s{fraction} since 1970"
    return f"{whole:%Y-%m-%d %H:%M:%S}{fraction}"
