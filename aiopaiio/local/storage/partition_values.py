"""Partition specifications: what came on the wire or in SQL to the values of a table's partition columns. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import TypeAlias

import pyarrow as pa

from aiopaiio.local.storage.refusal import StoreError
from aiopaiio.schema import Column, TableSchema, arrow_type
from aiopaiio.table_path import PartitionSpec

__all__ = ["PartitionLike", "full_values", "key_of", "leading_values", "partition_constant", "values_of"]

PartitionLike: TypeAlias = "str | Mapping[str, str] | PartitionSpec"
"""``ds=1,hh=2``, ``ds='1'/hh='2'``, a mapping, or a PartitionSpec."""

Values: TypeAlias = "tuple[tuple[str, str], ...]"

PARTITION_TYPES = ("string", "varchar", "char", "bigint", "int", "smallint", "tinyint", "date")
_MAX_VALUE_BYTES = 255
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def full_values(schema: TableSchema, partition: PartitionLike) -> Values:
    """(column, value) of every partition column in table order; raises ``InvalidPartitionSpec``."""
    values = _named_values(schema, partition)
    missing = [column.name for column in schema.partition_columns if column.name not in values]
    if missing:
        raise StoreError(
            "InvalidPartitionSpec", f"the partition {_text(partition)!r} gives no value for {', '.join(missing)}"
        )
    return tuple((column.name, values[column.name]) for column in schema.partition_columns)


def leading_values(schema: TableSchema, partition: PartitionLike) -> Values:
    """(column, value) of those partition columns that are given, in table order; raises ``InvalidPartitionSpec``."""
    values = _named_values(schema, partition)
    return tuple((column.name, values[column.name]) for column in schema.partition_columns if column.name in values)


def key_of(values: Values) -> str:
    """The values as the text by which the metadata finds and orders partitions."""
    return json.dumps([value for _, value in values], ensure_ascii=False, separators=(",", ":"))


def values_of(schema: TableSchema, key: str) -> Values:
    """The reverse of :func:`key_of`."""
    return tuple(zip((column.name for column in schema.partition_columns), json.loads(key), strict=True))


def partition_constant(column: Column, value: str) -> pa.Scalar:
    """The Arrow scalar a partition value stands for in its column."""
    return pa.scalar(value, pa.string()).cast(arrow_type(column.type))


def _named_values(schema: TableSchema, partition: PartitionLike) -> dict[str, str]:
    columns = {column.name: column for column in schema.partition_columns}
    if not columns:
        raise StoreError(
            "InvalidPartitionSpec", f"the table is not partitioned, but the partition {_text(partition)!r} was named"
        )
    if isinstance(partition, str):
        pairs = _split(partition, list(columns))
    elif isinstance(partition, PartitionSpec):
        pairs = list(partition.values)
    else:
        pairs = list(partition.items())
    values: dict[str, str] = {}
    for name, value in pairs:
        column = columns.get(name.lower())
        if column is None:
            raise StoreError(
                "InvalidPartitionSpec", f"{name!r} is not a partition column; the table has {', '.join(columns)}"
            )
        if column.name in values:
            raise StoreError("InvalidPartitionSpec", f"the partition column {column.name} is given twice")
        values[column.name] = _normal_value(column, value)
    return values


def _split(text: str, names: list[str]) -> list[tuple[str, str]]:
    # A value may hold ',' or '/': only one that is followed by "column=" separates.
    known = "|".join(map(re.escape, names))
    parts = re.split(rf"\s*[,/]\s*(?=(?:{known})\s*=)", text.strip(), flags=re.IGNORECASE)
    pairs = []
    for part in parts:
        name, equals, value = part.partition("=")
        if not equals:
            raise StoreError(
                "InvalidPartitionSpec", f"{text!r} is not a partition; expected {','.join(f'{n}=VALUE' for n in names)}"
            )
        pairs.append((name.strip(), _without_quotes(value.strip())))
    return pairs


def _without_quotes(value: str) -> str:
    return value[1:-1] if len(value) >= 2 and value[0] == value[-1] and value[0] in "'\"" else value


def _normal_value(column: Column, value: str) -> str:
    if not value or len(value.encode()) > _MAX_VALUE_BYTES or _CONTROL.search(value):
        raise StoreError(
            "InvalidPartitionSpec",
            f"partition column {column.name}: a value has 1 to {_MAX_VALUE_BYTES} bytes and no control characters",
        )
    if column.odps_type.name in ("string", "varchar", "char"):
        return value
    try:
        # '01' and '1' name one partition of a BIGINT column.
        return str(partition_constant(column, value).as_py())
    except pa.ArrowInvalid:
        raise StoreError(
            "InvalidPartitionSpec", f"partition column {column.name}: {value!r} is not a {column.type.upper()}"
        ) from None


def _text(partition: PartitionLike) -> str:
    if isinstance(partition, Mapping):
        return ",".join(f"{name}={value}" for name, value in partition.items())
    return str(partition)
