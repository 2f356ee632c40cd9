"""What an Arrow column holds, as far as its Python values depend on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from aiopaiio.odps_types import OdpsType, parse_type
from aiopaiio.schema import ODPS_TYPE_KEY

__all__ = ["Shape", "field_shape"]


_OBJECT = np.dtype(object)


@dataclass(frozen=True, slots=True)
class Shape:
    """How to read an Arrow column. A STRUCT is an Arrow struct, and so is the wide form of a TIMESTAMP: told apart.

    ``dtype`` is the type of a column's field in a record array when no row of it is odd (see
    :class:`~aiopaiio.column_values.ColumnValues`).
    """

    kind: Literal["number", "datetime", "date", "moment", "interval", "text", "bytes", "list", "map", "struct", "plain"]
    children: tuple[Shape, ...] = ()
    names: tuple[str, ...] = ()
    dtype: np.dtype[Any] = _OBJECT


_DATETIME = Shape("datetime", dtype=np.dtype(np.int64))
_MOMENT = Shape("moment", dtype=np.dtype("M8[us]"))
_INTERVAL = Shape("interval", dtype=np.dtype("m8[us]"))


def field_shape(field: pa.Field[Any]) -> Shape:
    """The shape of a column; its MaxCompute type, if the field's metadata name it, decides over the Arrow type."""
    type_text = (field.metadata or {}).get(ODPS_TYPE_KEY)
    return _shape(field.type, parse_type(type_text.decode()) if type_text else None)


def _shape(arrow: pa.DataType, odps: OdpsType | None) -> Shape:
    is_a = pa.types
    children = odps.children if odps else ()

    def child(position: int, arrow_child: pa.DataType) -> Shape:
        return _shape(arrow_child, children[position] if children else None)

    if is_a.is_struct(arrow):
        if odps and odps.name in ("timestamp", "timestamp_ntz"):
            return _MOMENT
        if odps and odps.name == "interval_day_time":
            return _INTERVAL
        fields = [arrow.field(position) for position in range(arrow.num_fields)]
        shapes = tuple(child(position, field.type) for position, field in enumerate(fields))
        return Shape("struct", shapes, tuple(field.name for field in fields))
    if is_a.is_map(arrow):
        return Shape("map", (child(0, arrow.key_type), child(1, arrow.item_type)))
    if is_a.is_list(arrow):
        return Shape("list", (child(0, arrow.value_type),))
    if is_a.is_timestamp(arrow):
        return _DATETIME if arrow.unit == "ms" else _MOMENT
    if is_a.is_integer(arrow) or is_a.is_floating(arrow) or is_a.is_boolean(arrow):
        return Shape("number", dtype=np.dtype(arrow.to_pandas_dtype()))
    if is_a.is_date32(arrow):
        return Shape("date", dtype=np.dtype("M8[D]"))
    if is_a.is_string(arrow):
        return Shape("text")
    return Shape("bytes") if is_a.is_binary(arrow) else Shape("plain")
