"""Timestamps in the form that results of statements have in Arrow: a struct of seconds and nanoseconds."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

__all__ = ["widen_timestamps"]

_NANOS = pa.timestamp("ns")


def widen_timestamps(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The same rows, each ``timestamp[ns]``, nested too, as ``struct<sec: int64, nano: int32>``, 0 <= nano < 1e9."""
    arrays = [_widened(column) for column in batch.columns]
    fields = [field.with_type(array.type) for field, array in zip(batch.schema, arrays, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=pa.schema(fields))


def _widened(array: pa.Array) -> pa.Array:
    kind = array.type
    if kind == _NANOS:
        sec, nano = np.divmod(array.fill_null(0).cast(pa.int64()).to_numpy(zero_copy_only=False), 1_000_000_000)
        parts = [pa.array(sec), pa.array(nano.astype(np.int32))]
        return pa.StructArray.from_arrays(parts, ["sec", "nano"], mask=array.is_null())
    if pa.types.is_map(kind):
        keys, items = _widened(array.keys), _widened(array.items)
        return pa.MapArray.from_arrays(_offsets(array), keys, items, mask=array.is_null() if array.null_count else None)
    if pa.types.is_list(kind):
        mask = array.is_null() if array.null_count else None
        return pa.ListArray.from_arrays(_offsets(array), _widened(array.values), mask=mask)
    if pa.types.is_struct(kind):
        parts = [_widened(array.field(position)) for position in range(kind.num_fields)]
        mask = array.is_null() if array.null_count else None
        return pa.StructArray.from_arrays(parts, [field.name for field in kind], mask=mask)
    return array


def _offsets(array: pa.Array) -> pa.Array:
    # A slice keeps its parent's offsets; building anew with a mask needs offsets that start at an offset of zero.
    return pa.array(array.offsets.to_numpy())
