"""The many shapes in which callers pass rows, brought into one: a sequence of cells for each column. Pure.

One row: a tuple, a list or a 1-D array of scalars, a structured record. Many rows: a list, an iterator (``zip``, a
generator) or a 1-D array whose elements are tuples, lists, records or 1-D arrays; a 2-D array; a structured array. What
the first element is decides: if it is a tuple, a list, a record or a 1-D array there are many rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from aiopaiio.cell_columns import Cells
from aiopaiio.errors import ColumnError, ValueTypeError
from aiopaiio.schema import Column

__all__ = ["CellGrid", "cell_grid", "column_numbers"]

_PLAIN_ROWS = {tuple, list}
_ROW_CLASSES = (tuple, list, np.void, np.ndarray)
_NOT_ROWS = (str, bytes, bytearray, memoryview, dict, set, frozenset)


@dataclass(frozen=True)
class CellGrid:
    """``columns[c][r]`` is the cell of row ``r``; all columns have ``row_count`` cells."""

    row_count: int
    columns: Sequence[Cells]


def is_row(element: Any) -> bool:
    """Whether an element of the values is itself a row."""
    return isinstance(element, _ROW_CLASSES) and (not isinstance(element, np.ndarray) or element.ndim == 1)


def cell_grid(values: Any) -> CellGrid:
    """Bring ``values`` into columns; raises :class:`~aiopaiio.errors.ValueTypeError` when they are not rows."""
    if isinstance(values, np.ndarray) and not (values.ndim == 1 and values.dtype.kind == "O"):
        return _array_grid(values)
    if isinstance(values, np.void):
        return _array_grid(values.reshape(1)) if values.dtype.names else _one_row([values])
    if hasattr(values, "__arrow_c_stream__") or hasattr(values, "__dataframe__"):
        raise ValueTypeError(
            f"values must be rows, not a {_class(values)}; for a pandas frame pass frame.itertuples(index=False)"
        )
    if isinstance(values, _NOT_ROWS) or not isinstance(values, Iterable):
        raise ValueTypeError(f"values must be a row or rows (tuple, list, NumPy array, iterator), not {_class(values)}")
    rows = values if isinstance(values, (tuple, list)) else list(values)
    if not len(rows):
        return CellGrid(0, ())
    return _many_rows(rows) if is_row(rows[0]) else _one_row(rows)


def column_numbers(indices: Iterable[Any] | None, width: int, columns: Sequence[Column]) -> list[int]:
    """Which column each of the ``width`` cells of a row goes to; None means the first columns in order.

    Raises :class:`~aiopaiio.errors.ColumnError` for a number that is no column or is there twice, and
    :class:`~aiopaiio.errors.ValueTypeError` when there are not as many numbers as cells.
    """
    if not width:
        raise ValueTypeError("a row has no cells")
    if indices is None:
        if width > len(columns):
            raise ValueTypeError(f"a row has {width} cells, but the table has {len(columns)} columns")
        return list(range(width))
    try:
        given = list(indices)
        numbers = [number.__index__() for number in given]
    except (TypeError, AttributeError):
        raise ColumnError("indices must be a tuple, list, range or array of zero-based column numbers") from None
    if any(isinstance(number, (bool, np.bool_)) for number in given) or len(set(numbers)) != len(numbers):
        raise ColumnError(f"indices name a column twice: {numbers}")
    for number in numbers:
        if not 0 <= number < len(columns):
            raise ColumnError(
                f"there is no column {number}: the table has {len(columns)} columns, 0 to {len(columns) - 1}"
            )
    if width != len(numbers):
        raise ValueTypeError(f"a row has {width} cells, but indices name {len(numbers)} columns")
    return numbers


def _array_grid(values: np.ndarray[Any, Any]) -> CellGrid:
    names = values.dtype.names
    if names and values.ndim <= 1:
        rows = values.reshape(-1)
        # The plain view, which has no mask: a record array of this library gives its columns slower.
        plain = rows if isinstance(rows, np.ma.MaskedArray) else rows.view(np.ndarray)
        return CellGrid(len(rows), [plain[name] for name in names])
    if values.ndim == 2 and not names:
        return CellGrid(len(values), [values[:, column] for column in range(values.shape[1])])
    if values.ndim == 1:
        return (
            _one_row(list(values) if values.dtype.kind in "mMf" else values.tolist())
            if len(values)
            else CellGrid(0, ())
        )
    raise ValueTypeError(f"values must be an array of 1 or 2 dimensions, not {values.ndim}")


def _one_row(cells: Sequence[Any]) -> CellGrid:
    return CellGrid(1, [(cell,) for cell in cells])


def _many_rows(rows: Sequence[Any]) -> CellGrid:
    for number, row in enumerate(rows if not {*map(type, rows)} <= _PLAIN_ROWS else ()):
        if not is_row(row):
            raise ValueTypeError(
                f"row {number} is of class {_class(row)}; the rows before it are tuples, lists or arrays"
            )
    width = len(rows[0])
    try:
        return CellGrid(len(rows), list(zip(*rows, strict=True)) or [()] * width)
    except ValueError:
        number = next(number for number, row in enumerate(rows) if len(row) != width)
        raise ValueTypeError(f"row {number} has {len(rows[number])} cells, row 0 has {width}") from None


def _class(value: Any) -> str:
    return type(value).__name__
