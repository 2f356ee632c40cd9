"""Rows of Python values to Arrow batches of a table's columns. Pure.

A call takes all of its rows or none: every value is checked before anything is returned.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import pyarrow as pa

from aiopaiio.cell_columns import Cells, column_array
from aiopaiio.cell_values import Unfit
from aiopaiio.errors import ValueTypeError
from aiopaiio.row_shapes import cell_grid, column_numbers
from aiopaiio.schema import ODPS_TYPE_KEY, Column, arrow_type

__all__ = ["rows_to_batch"]


def rows_to_batch(
    values: Any, indices: Iterable[Any] | None, columns: Sequence[Column], *, allow_type_cast: bool = True
) -> pa.RecordBatch:
    """One batch with all the columns of the table, in its order, of the rows in ``values``.

    ``values``: one row or many, in any shape of :mod:`aiopaiio.row_shapes`; ``indices``: the number of the column of
    each cell, None for the first columns in order. Columns without cells are NULL. With ``allow_type_cast`` text is
    converted into numeric columns, and numbers into text. A TIMESTAMP column is ``timestamp[ns]``, or
    ``struct<sec, nano>`` if that is needed.

    Raises :class:`~aiopaiio.errors.ValueTypeError` that names the row, the column, its type and the value's class, and
    :class:`~aiopaiio.errors.ColumnError` for wrong ``indices``.
    """
    grid = cell_grid(values)
    cells_of: dict[int, Cells] = {}
    if grid.row_count:
        numbers = column_numbers(indices, len(grid.columns), columns)
        cells_of = dict(zip(numbers, grid.columns, strict=True))
    arrays = []
    for number, column in enumerate(columns):
        cells = cells_of.get(number)
        if cells is None:
            array = pa.nulls(grid.row_count, arrow_type(column.type))
        else:
            try:
                array = column_array(cells, column.odps_type, allow_type_cast)
            except Unfit as unfit:
                raise _error(cells, column, number, allow_type_cast, unfit) from None
        if array.null_count and not column.nullable:
            row = array.is_null().index(True).as_py()
            raise ValueTypeError(
                f"row {row}, column {column.name!r} (number {number}): the column is NOT NULL, give it a value"
            )
        arrays.append(array)
    fields = [
        pa.field(column.name, array.type, metadata={ODPS_TYPE_KEY: column.type.encode()})
        for column, array in zip(columns, arrays, strict=True)
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=pa.schema(fields))


def _error(cells: Cells, column: Column, number: int, cast: bool, unfit: Unfit) -> ValueTypeError:
    """The error for the first cell that does not fit."""
    place, culprit = "", unfit
    for row, cell in enumerate(cells):
        reason = _unfit(cell, column, cast)
        if reason is not None:
            place, culprit = f"row {row}, {type(cell).__name__} value for ", reason
            break
    name = f"column {column.name!r} (number {number}, {column.type.upper()})"
    return ValueTypeError(f"{place}{name}: {culprit}; nothing of this call was taken")


def _unfit(cell: Any, column: Column, cast: bool) -> Unfit | None:
    try:
        column_array([cell], column.odps_type, cast)
    except Unfit as unfit:
        return unfit
    return None
