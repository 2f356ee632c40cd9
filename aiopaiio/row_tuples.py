"""Arrow batches to rows as plain tuples, column by column, without a record array in between. Pure."""

from __future__ import annotations

import gc
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from aiopaiio.column_shapes import Shape, field_shape
from aiopaiio.column_values import python_values
from aiopaiio.text_objects import StringAs

__all__ = ["tuples_from_batches"]

_BLOCK_CELLS = 1 << 15
"""About 1 MB of Python objects: made column by column, they are still in the processor's cache when rows take them."""


def tuples_from_batches(batches: Iterable[pa.RecordBatch], *, string_as: StringAs = "str") -> list[tuple[Any, ...]]:
    """All rows of some batches, in order; the values are those of :mod:`aiopaiio.column_values`."""
    rows: list[tuple[Any, ...]] = []
    for batch in batches:
        shapes = [field_shape(field) for field in batch.schema]
        columns = [_values(array, shape, string_as) for array, shape in zip(batch.columns, shapes, strict=True)]
        block_rows = max(1, _BLOCK_CELLS // max(1, len(columns)))
        for start in range(0, batch.num_rows, block_rows):
            block = slice(start, start + block_rows)
            rows.extend(zip(*(_objects(values[block]) for values in columns), strict=True))
            if gc.isenabled():
                # New tuples are looked through once, soon. Here their values still are in the processor's cache.
                gc.collect(0)
    return rows


def _values(array: Any, shape: Shape, string_as: StringAs) -> Sequence[Any] | npt.NDArray[Any]:
    if array.null_count or shape.kind not in ("number", "datetime"):
        return python_values(array, shape, string_as)
    # NumPy makes Python numbers faster than Arrow does.
    numbers = array.view(pa.int64()) if shape.kind == "datetime" else array
    values: npt.NDArray[Any] = numbers.to_numpy(zero_copy_only=False)
    return values


def _objects(values: Sequence[Any] | npt.NDArray[Any]) -> Sequence[Any]:
    return values.tolist() if isinstance(values, np.ndarray) else values
