"""Columns that a caller has, made into the columns that a table wants: names matched, types cast without loss. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from aiopaiio.errors import SchemaMismatchError, ValueTypeError
from aiopaiio.schema import Column, TableSchema, arrow_schema

__all__ = ["as_batches", "conform"]


def as_batches(columns: Any) -> Iterator[pa.RecordBatch]:
    """The record batches of anything with the Arrow C interface: batch, table, reader, data frame."""
    if isinstance(columns, pa.RecordBatch):
        yield columns
    elif isinstance(columns, pa.Table):
        yield from columns.to_batches()
    elif hasattr(columns, "__arrow_c_stream__"):
        yield from pa.RecordBatchReader.from_stream(columns)
    elif hasattr(columns, "__arrow_c_array__"):
        yield pa.record_batch(columns)
    else:
        raise ValueTypeError(
            f"write_batch takes a pyarrow.RecordBatch, a Table, or another object with the Arrow C interface, "
            f"not {type(columns).__name__}; write() takes rows"
        )


def conform(batch: pa.RecordBatch, schema: TableSchema) -> pa.RecordBatch:
    """``batch`` with all columns of the table in the table's order.

    Names match in any case; a column the batch lacks becomes NULL; a type is cast where no value changes by it. Raises
    :class:`~aiopaiio.errors.SchemaMismatchError` that names the column.
    """
    narrow = arrow_schema(schema.columns)
    if batch.schema.equals(narrow):
        _check_nulls(batch, schema.columns)
        return batch.cast(narrow) if batch.schema.metadata else batch
    given: dict[str, pa.Array] = {}
    for name, array in zip(batch.schema.names, batch.columns, strict=True):
        if name.lower() in given:
            raise SchemaMismatchError(f"the batch has column {name!r} twice")
        given[name.lower()] = array
    wide = arrow_schema(schema.columns, wide_timestamps=True)
    arrays, fields = [], []
    for column, narrow_field, wide_field in zip(schema.columns, narrow, wide, strict=True):
        array = given.pop(column.name, None)
        field = narrow_field
        if array is None:
            array = pa.nulls(batch.num_rows, field.type)
        elif array.type.equals(wide_field.type):
            field = wide_field
        elif not array.type.equals(field.type):
            array = _cast(array, field.type, column)
        arrays.append(array)
        fields.append(field)
    if given:
        raise SchemaMismatchError(
            f"the table has no column {', '.join(map(repr, given))}; it has {', '.join(schema.names)}"
        )
    conformed = pa.RecordBatch.from_arrays(arrays, schema=pa.schema(fields))
    _check_nulls(conformed, schema.columns)
    return conformed


def _cast(array: pa.Array, target: pa.DataType, column: Column) -> pa.Array:
    try:
        return array.cast(target)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError) as error:
        raise SchemaMismatchError(
            f"column {column.name!r} of type {array.type} does not fit {column.type.upper()} without loss: {error}"
        ) from error


def _check_nulls(batch: pa.RecordBatch, columns: tuple[Column, ...]) -> None:
    for column, array in zip(columns, batch.columns, strict=True):
        if not column.nullable and array.null_count:
            raise ValueTypeError(f"column {column.name!r} is NOT NULL, and {array.null_count} of its values are NULL")
