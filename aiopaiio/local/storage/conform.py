"""Checks rows that are to be stored against the table's columns, and brings them to the form in which they are stored.

What passes may be mapped and served later without a look at it: buffers are consistent, NOT NULL holds, DECIMAL fits
its precision, CHAR is padded and no text is too long. Timestamps are held as ``timestamp[ns]`` where all of a column's
values in a batch fit, else as seconds and nanoseconds. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from aiopaiio.local.storage.leaves import rewrite_leaves, without_text
from aiopaiio.local.storage.refusal import StoreError
from aiopaiio.odps_types import OdpsType
from aiopaiio.schema import Column, arrow_schema, arrow_type

__all__ = ["MAX_FIELD_BYTES", "StoredForm"]

MAX_FIELD_BYTES = 8 << 20
"""The longest STRING or BINARY value unless another limit is given."""

_TIMESTAMPS = ("timestamp", "timestamp_ntz")
_TEXTS = ("string", "binary", "json", "char", "varchar")
_NANOS_PER_SECOND = 1_000_000_000


class _DoesNotFit(Exception):
    """A timestamp is outside what int64 nanoseconds can hold."""


@dataclass(frozen=True, slots=True)
class _Rule:
    """What is asked of one column, worked out once."""

    column: Column
    narrow: pa.DataType
    wide: pa.DataType
    odps_type: OdpsType
    has_lengths: bool
    has_texts: bool


class StoredForm:
    """Turns batches of a table's columns into batches as stored; no text may have more than ``max_field_bytes``."""

    def __init__(self, columns: Sequence[Column], *, max_field_bytes: int = MAX_FIELD_BYTES) -> None:
        self._max_field_bytes = max_field_bytes
        self._rules = [
            _Rule(
                column,
                arrow_type(column.type),
                arrow_type(column.type, wide_timestamps=True),
                column.odps_type,
                column.odps_type.holds("char", "varchar"),
                column.odps_type.holds(*_TEXTS),
            )
            for column in columns
        ]
        self._names = {column.name for column in columns}
        self._schemas: dict[tuple[tuple[str, bool], ...], pa.Schema] = {}

    def __call__(self, batch: pa.RecordBatch, first_row: int = 0) -> pa.RecordBatch:
        """The batch as stored: columns in table order, those not given left out (they read as NULL).

        ``first_row`` is the batch's place in its block, for messages. Raises StoreError ``MalformedDataStream``.
        """
        positions = {name.lower(): position for position, name in enumerate(batch.schema.names)}
        if len(positions) != batch.num_columns or not positions.keys() <= self._names:
            unknown = sorted(positions.keys() - self._names) or batch.schema.names
            raise _malformed(f"columns are unknown or named twice: {', '.join(unknown)}")
        arrays, key = [], []
        for rule in self._rules:
            position = positions.get(rule.column.name)
            if position is not None:
                array = _stored(rule, batch.column(position), first_row, self._max_field_bytes)
                arrays.append(array)
                key.append((rule.column.name, array.type != rule.narrow))
            elif not rule.column.nullable and batch.num_rows:
                raise _malformed(f"column {rule.column.name} is NOT NULL, but the rows have no such column")
        return pa.RecordBatch.from_arrays(arrays, schema=self._schema(tuple(key)))

    def wide_columns(self, schema: pa.Schema) -> list[str]:
        """The columns of a stored schema whose timestamps did not fit ``timestamp[ns]``."""
        narrow = {rule.column.name: rule.narrow for rule in self._rules}
        return [field.name for field in schema if field.type != narrow[field.name]]

    def _schema(self, key: tuple[tuple[str, bool], ...]) -> pa.Schema:
        schema = self._schemas.get(key)
        if schema is None:
            columns = {rule.column.name: rule.column for rule in self._rules}
            fields = [arrow_schema([columns[name]], wide_timestamps=wide).field(0) for name, wide in key]
            schema = self._schemas[key] = pa.schema(fields)
        return schema


def _stored(rule: _Rule, array: pa.Array, first_row: int, max_field_bytes: int) -> pa.Array:
    name = rule.column.name
    if array.type != rule.narrow and array.type != rule.wide:
        raise _malformed(f"column {name} of type {rule.column.type.upper()} cannot take Arrow values of {array.type}")
    try:
        # Bytes from outside: offsets must be checked before anything follows them, digits before they are served.
        array.view(without_text(array.type)).validate(full=True)
    except pa.ArrowInvalid as error:
        raise _malformed(f"column {name}: {error}") from None
    if not rule.column.nullable and array.null_count:
        row = first_row + pc.index(array.is_null(), True).as_py()
        raise _malformed(f"column {name} is NOT NULL, but it is NULL in row {row} of the block")
    if rule.has_texts and array.nbytes > max_field_bytes:
        rewrite_leaves(array, rule.odps_type, lambda leaf, kind: _check_size(name, leaf, kind, max_field_bytes))
    if rule.has_lengths:
        array = rewrite_leaves(array, rule.odps_type, lambda leaf, kind: _fit_length(name, leaf, kind))
    if rule.narrow != rule.wide and array.type == rule.wide:
        try:
            array = rewrite_leaves(array, rule.odps_type, lambda leaf, kind: _narrow(name, leaf, kind))
        except _DoesNotFit:
            return array
    return array if array.type == rule.wide else array.cast(rule.narrow)


def _check_size(name: str, leaf: pa.Array, kind: OdpsType, max_bytes: int) -> pa.Array:
    if kind.name in _TEXTS:
        longest = pc.max(pc.binary_length(leaf)).as_py() or 0
        if longest > max_bytes:
            raise _malformed(f"column {name} has a value of {longest} bytes; {max_bytes} are possible")
    return leaf


def _fit_length(name: str, leaf: pa.Array, kind: OdpsType) -> pa.Array:
    if kind.name not in ("char", "varchar"):
        return leaf
    (limit,) = kind.parameters
    longest = pc.max(pc.utf8_length(leaf)).as_py() or 0
    if longest > limit:
        raise _malformed(f"column {name} has a value of {longest} characters; {kind} can hold {limit}")
    if kind.name == "varchar":
        return leaf
    try:
        return pc.utf8_rpad(leaf, width=limit)
    except pa.ArrowInvalid:
        raise _malformed(f"column {name} has a value that is not UTF-8") from None


def _narrow(name: str, leaf: pa.Array, kind: OdpsType) -> pa.Array:
    if kind.name not in _TIMESTAMPS or not pa.types.is_struct(leaf.type):
        return leaf
    seconds, nanos = leaf.flatten()
    extremes = pc.min_max(nanos).as_py()
    if extremes["min"] is not None and not 0 <= extremes["min"] <= extremes["max"] < _NANOS_PER_SECOND:
        raise _malformed(f"column {name} has a timestamp whose nanoseconds are not in [0, {_NANOS_PER_SECOND})")
    try:
        total = pc.add_checked(pc.multiply_checked(seconds, _NANOS_PER_SECOND), nanos.cast(pa.int64()))
    except pa.ArrowInvalid:
        raise _DoesNotFit from None
    return total.view(pa.timestamp("ns"))


def _malformed(what: str) -> StoreError:
    return StoreError(
        "MalformedDataStream", f"the rows are not well-formed or do not agree with the table's schema: {what}"
    )
