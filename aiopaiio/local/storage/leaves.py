"""Rewrites the values inside nested Arrow arrays (lists, maps, structs) at their leaves. Pure."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from aiopaiio.odps_types import OdpsType

__all__ = ["rewrite_leaves", "without_text"]


def rewrite_leaves(array: pa.Array, odps_type: OdpsType, rewrite: Callable[[pa.Array, OdpsType], pa.Array]) -> pa.Array:
    """The same array with ``rewrite(leaf array, its type)`` in place of every leaf array.

    Leaf arrays hold only values that are reachable: not those under a NULL list or outside a slice.
    """
    match odps_type.name:
        case "array" | "vector":
            values = rewrite_leaves(pc.list_flatten(array), odps_type.children[0], rewrite)
            return pa.ListArray.from_arrays(_offsets(array), values)
        case "map":
            as_list = array.cast(pa.list_(pa.struct([array.type.key_field, array.type.item_field])))
            entries = pc.list_flatten(as_list)
            keys = rewrite_leaves(entries.field(0), odps_type.children[0], rewrite)
            items = rewrite_leaves(entries.field(1), odps_type.children[1], rewrite)
            return pa.MapArray.from_arrays(_offsets(as_list), keys, items)
        case "struct":
            children = [
                rewrite_leaves(child, child_type, rewrite)
                for child, child_type in zip(array.flatten(), odps_type.children, strict=True)
            ]
            return pa.StructArray.from_arrays(children, names=odps_type.field_names, mask=array.is_null())
    return rewrite(array, odps_type)


def without_text(arrow_type: pa.DataType) -> pa.DataType:
    """The type with BINARY in place of every STRING: the same buffers, without a claim that they are UTF-8."""
    if pa.types.is_string(arrow_type):
        return pa.binary()
    if pa.types.is_list(arrow_type):
        field = arrow_type.value_field
        return pa.list_(field.with_type(without_text(field.type)))
    if pa.types.is_map(arrow_type):
        key, item = arrow_type.key_field, arrow_type.item_field
        return pa.map_(key.with_type(without_text(key.type)), item.with_type(without_text(item.type)))
    if pa.types.is_struct(arrow_type):
        return pa.struct([field.with_type(without_text(field.type)) for field in arrow_type])
    return arrow_type


def _offsets(lists: pa.Array) -> pa.Array:
    """Offsets into the flattened values; a NULL offset marks a NULL list."""
    lengths = pc.fill_null(pc.list_value_length(lists), 0).to_numpy(zero_copy_only=False)
    offsets = np.zeros(len(lists) + 1, np.int32)
    np.cumsum(lengths, out=offsets[1:])
    mask = np.zeros(len(lists) + 1, np.bool_)
    mask[:-1] = lists.is_null().to_numpy(zero_copy_only=False)
    return pa.array(offsets, mask=mask)
