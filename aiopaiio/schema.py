"""Columns of a table, their MaxCompute types, and the Arrow types that carry them.

Three spellings of one schema meet here: the Tunnel's JSON, this library's :class:`TableSchema`, and ``pyarrow.Schema``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import pyarrow as pa

from aiopaiio.errors import ColumnError, SchemaMismatchError
from aiopaiio.odps_types import OdpsType, normal_type, parse_type

__all__ = ["ODPS_TYPE_KEY", "Column", "TableSchema", "arrow_schema", "arrow_type", "arrow_wire_supported"]

ODPS_TYPE_KEY = b"odps.type"
"""Key of the Arrow field metadata that holds the MaxCompute type text."""

SECONDS_NANOS = pa.struct([("sec", pa.int64()), ("nano", pa.int32())])
"""Seconds since 1970 (rounded down) and 0 <= nanos < 1e9: every TIMESTAMP and INTERVAL_DAY_TIME fits."""

_ARROW_TYPES: dict[str, pa.DataType] = {
    "bigint": pa.int64(),
    "int": pa.int32(),
    "smallint": pa.int16(),
    "tinyint": pa.int8(),
    "float": pa.float32(),
    "double": pa.float64(),
    "boolean": pa.bool_(),
    "string": pa.string(),
    "varchar": pa.string(),
    "char": pa.string(),
    "json": pa.string(),
    "binary": pa.binary(),
    "datetime": pa.timestamp("ms"),
    "date": pa.date32(),
    "interval_day_time": SECONDS_NANOS,
    "interval_year_month": pa.int32(),
}


@dataclass(frozen=True)
class Column:
    """One column. ``name`` is kept in lower case and ``type`` in its normal spelling, e.g. ``map<string,bigint>``."""

    name: str
    type: str
    nullable: bool = True
    comment: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", self.name.lower())
        object.__setattr__(self, "type", normal_type(self.type))

    @property
    def odps_type(self) -> OdpsType:
        """The parsed type; raises :class:`SchemaMismatchError` for a type this library does not know."""
        return parse_type(self.type)

    def to_tunnel_json(self) -> dict[str, Any]:
        # Every key is there because some client decodes them into fixed types.
        return {
            "name": self.name,
            "type": self.type,
            "nullable": self.nullable,
            "comment": self.comment,
            "column_id": "",
            "default_value": "",
        }

    @classmethod
    def from_tunnel_json(cls, value: Mapping[str, Any]) -> Column:
        nullable = value.get("nullable", True)
        if isinstance(nullable, str):
            nullable = nullable.lower() != "false"
        return cls(str(value["name"]), str(value["type"]), bool(nullable), str(value.get("comment") or ""))


@dataclass(frozen=True)
class TableSchema:
    """The columns of a table, in table order, and its partition columns, outermost first."""

    columns: tuple[Column, ...]
    partition_columns: tuple[Column, ...] = ()
    _positions: dict[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        names = [column.name for column in (*self.columns, *self.partition_columns)]
        positions = {name: position for position, name in enumerate(names)}
        if len(positions) != len(names):
            twice = sorted({name for name in names if names.count(name) > 1})
            raise SchemaMismatchError(f"column named more than once: {', '.join(twice)}")
        object.__setattr__(self, "_positions", positions)

    @classmethod
    def from_tunnel_json(cls, value: Mapping[str, Any]) -> TableSchema:
        """From the ``Schema`` object of a download or upload session."""
        try:
            return cls(
                tuple(Column.from_tunnel_json(column) for column in value["columns"]),
                tuple(Column.from_tunnel_json(column) for column in value.get("partitionKeys") or ()),
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise SchemaMismatchError(f"not the schema of a table: {error!r}") from error

    def to_tunnel_json(self) -> dict[str, Any]:
        """The ``Schema`` object of a download or upload session."""
        return {
            "IsVirtualView": False,
            "columns": [column.to_tunnel_json() for column in self.columns],
            "partitionKeys": [column.to_tunnel_json() for column in self.partition_columns],
        }

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns, without the partition columns."""
        return tuple(column.name for column in self.columns)

    def column(self, name: str) -> Column:
        """The column or partition column called ``name``, in any case; raises :class:`ColumnError`."""
        position = self._positions.get(name.lower())
        if position is None:
            raise ColumnError(f"no column {name!r}; the table has {', '.join(self._positions)}")
        if position < len(self.columns):
            return self.columns[position]
        return self.partition_columns[position - len(self.columns)]

    def select(self, names: Iterable[str]) -> TableSchema:
        """The named columns in the order given; partition columns among them stay partition columns.

        Raises :class:`ColumnError` when a name is unknown or given twice.
        """
        chosen = [self.column(name) for name in names]
        if len({column.name for column in chosen}) != len(chosen):
            raise ColumnError(f"a column is named twice: {', '.join(column.name for column in chosen)}")
        partition_names = {column.name for column in self.partition_columns}
        return TableSchema(
            tuple(column for column in chosen if column.name not in partition_names),
            tuple(column for column in chosen if column.name in partition_names),
        )


def arrow_schema(columns: Sequence[Column], *, wide_timestamps: bool = False) -> pa.Schema:
    """The Arrow schema of ``columns``; each field's metadata holds the MaxCompute type under :data:`ODPS_TYPE_KEY`."""
    return pa.schema([_field(column.name, column.type, wide_timestamps) for column in columns])


# As many as a few wide tables have: each request for rows of a table needs all of them again.
@lru_cache(maxsize=16384)
def _field(name: str, type_text: str, wide_timestamps: bool) -> pa.Field:
    carrier = arrow_type(type_text, wide_timestamps=wide_timestamps)
    return pa.field(name, carrier, metadata={ODPS_TYPE_KEY: type_text.encode()})


@lru_cache(maxsize=4096)
def arrow_type(type_text: str, *, wide_timestamps: bool = False) -> pa.DataType:
    """The Arrow type that carries a MaxCompute type.

    ``wide_timestamps`` gives TIMESTAMP and TIMESTAMP_NTZ as :data:`SECONDS_NANOS` instead of ``timestamp[ns]``, which
    ends at the years 1677 and 2262. Raises :class:`SchemaMismatchError` for a type this library cannot carry.
    """
    return _arrow_type(parse_type(type_text), wide_timestamps)


def _arrow_type(odps_type: OdpsType, wide_timestamps: bool) -> pa.DataType:
    children = [_arrow_type(child, wide_timestamps) for child in odps_type.children]
    match odps_type.name:
        case "timestamp" | "timestamp_ntz":
            return SECONDS_NANOS if wide_timestamps else pa.timestamp("ns")
        case "array" | "vector":
            return pa.list_(children[0])
        case "map":
            return pa.map_(children[0], children[1])
        case "struct":
            return pa.struct(list(zip(odps_type.field_names, children, strict=True)))
        case "decimal":
            if not odps_type.parameters:
                return pa.decimal256(54, 18)
            precision, scale = odps_type.parameters
            return pa.decimal128(precision, scale) if precision <= 38 else pa.decimal256(precision, scale)
    try:
        return _ARROW_TYPES[odps_type.name]
    except KeyError:
        raise SchemaMismatchError(f"columns of type {odps_type} cannot be read or written") from None


def arrow_wire_supported(columns: Sequence[Column]) -> bool:
    """Whether the Arrow wire form can carry all the columns: it has no form for INTERVAL_YEAR_MONTH, nested or not."""
    return not any(parse_type(text).holds("interval_year_month") for text in {column.type for column in columns})
