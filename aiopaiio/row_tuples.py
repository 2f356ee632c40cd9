"""Arrow batches to rows as plain tuples, column by column, without a record array in between. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pyarrow as pa

from aiopaiio.column_values import Shape, StringAs, field_shape, python_values

__all__ = ["tuples_from_batches"]


def tuples_from_batches(batches: Iterable[pa.RecordBatch], *, string_as: StringAs = "str") -> list[tuple[Any, ...]]:
    """All rows of some batches, in order; the values are those of :mod:`aiopaiio.column_values`."""
    rows: list[tuple[Any, ...]] = []
    for batch in batches:
        shapes = [field_shape(field) for field in batch.schema]
        columns = [_values(array, shape, string_as) for array, shape in zip(batch.columns, shapes, strict=True)]
        rows.extend(zip(*columns, strict=True))
    return rows


def _values(array: Any, shape: Shape, string_as: StringAs) -> list[Any]:
    if array.null_count or shape.kind not in ("number", "datetime"):
        return python_values(array, shape, string_as)
    # NumPy makes Python numbers faster than Arrow does.
    numbers = array.view(pa.int64()) if shape.kind == "datetime" else array
    values: list[Any] = numbers.to_numpy(zero_copy_only=False).tolist()
    return values
