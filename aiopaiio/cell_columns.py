"""Many cells of one column to one Arrow array, whole columns at a time where their types allow. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from aiopaiio.cell_values import INTEGER_BITS, Unfit, cell_value
from aiopaiio.odps_types import OdpsType
from aiopaiio.schema import arrow_type

__all__ = ["Cells", "column_array"]

Array: TypeAlias = Any  # a pyarrow.Array: what is read off the nested kinds is missing from most of their stubs
Cells: TypeAlias = "Sequence[Any] | npt.NDArray[Any]"

_NANOS = 1_000_000_000
_TEXT = ("string", "varchar", "char", "json")

# Exact classes of cells that pyarrow itself puts into such a column without changing a value, or refuses.
_SAFE_CLASSES: dict[str, frozenset[type]] = {
    **dict.fromkeys(INTEGER_BITS, frozenset({int})),
    **dict.fromkeys(_TEXT, frozenset({str, bytes})),
    "float": frozenset({float}),
    "double": frozenset({float, int}),
    "boolean": frozenset({bool}),
    "binary": frozenset({bytes}),
    "datetime": frozenset({int}),
    "date": frozenset({date}),
}
_REFUSALS = (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError, UnicodeEncodeError)


class _BeyondNanoseconds(Exception):
    """A TIMESTAMP does not fit Arrow's 64 bits of nanoseconds."""


def column_array(cells: Cells, odps_type: OdpsType, cast: bool) -> Array:
    """An Arrow array of the column's type; raises :class:`~aiopaiio.cell_values.Unfit` when some cell does not fit.

    Of the type's two Arrow forms it has the one with ``struct<sec, nano>`` only if a TIMESTAMP needs it.
    """
    try:
        return _array(cells, odps_type, cast, wide=False)
    except _BeyondNanoseconds:
        return _array(cells, odps_type, cast, wide=True)


def _array(cells: Cells, odps_type: OdpsType, cast: bool, wide: bool) -> Array:
    arrow = arrow_type(str(odps_type), wide_timestamps=wide)
    if isinstance(cells, np.ndarray):
        array = _from_numpy(cells, odps_type, arrow)
        if array is not None:
            return array
        # As text a 32-bit float has fewer digits than as a Python float.
        kept = "mMVf" if odps_type.name in _TEXT else "mMV"
        cells = list(cells) if cells.dtype.kind in kept else cells.tolist()
    match odps_type.name:
        case "array" | "vector":
            return _lists(cells, odps_type, cast, wide, arrow)
        case "map":
            return _maps(cells, odps_type, cast, wide, arrow)
        case "struct":
            return _structs(cells, odps_type, cast, wide, arrow)
    array = _from_safe_classes(cells, odps_type, arrow)
    if array is not None:
        return array
    return _from_values([cell_value(cell, odps_type, cast) for cell in cells], odps_type, arrow, wide)


def _from_numpy(cells: npt.NDArray[Any], odps_type: OdpsType, arrow: pa.DataType) -> Array | None:
    kinds = (
        "iu"
        if odps_type.name in INTEGER_BITS
        else {"double": "f", "float": "f", "boolean": "b"}.get(odps_type.name, "")
    )
    if cells.dtype.kind not in kinds or isinstance(cells, np.ma.MaskedArray) or cells.dtype.itemsize > 8:
        return None
    try:
        array = pa.array(np.ascontiguousarray(cells, cells.dtype.newbyteorder("="))).cast(arrow)
    except _REFUSALS:
        return None
    return None if _overflowed(array, odps_type) else array


def _from_safe_classes(cells: Sequence[Any], odps_type: OdpsType, arrow: pa.DataType) -> Array | None:
    safe = _SAFE_CLASSES.get(odps_type.name)
    if safe is None or not {*map(type, cells)} <= safe | {type(None)}:
        return None
    try:
        array = pa.array(cells, pa.int64()).view(arrow) if odps_type.name == "datetime" else pa.array(cells, arrow)
    except _REFUSALS:
        return None
    if odps_type.name in _TEXT and odps_type.parameters:
        longest = pc.max(pc.utf8_length(array)).as_py()
        return None if longest is not None and longest > odps_type.parameters[0] else array
    return None if _overflowed(array, odps_type) else array


def _overflowed(array: Array, odps_type: OdpsType) -> bool:
    """Whether an infinity may have been made from a finite number: 32-bit floats are not checked by pyarrow."""
    return odps_type.name == "float" and bool(pc.any(pc.is_inf(array)).as_py())


def _from_values(values: list[Any], odps_type: OdpsType, arrow: pa.DataType, wide: bool) -> Array:
    match odps_type.name:
        case "datetime":
            return pa.array(values, pa.int64()).view(arrow)
        case "date":
            return pa.array(values, pa.int32()).view(arrow)
        case "interval_day_time":
            return _seconds_and_nanos(values, arrow)
        case "timestamp" | "timestamp_ntz":
            if wide:
                return _seconds_and_nanos(values, arrow)
            try:
                return pa.array(values, pa.int64()).view(arrow)
            except OverflowError:
                raise _BeyondNanoseconds from None
        case "string" | "varchar" | "char" | "json":
            try:
                return pa.array(values, arrow)
            except UnicodeEncodeError:
                cells = [None if value is None else value.encode("utf-8", "surrogateescape") for value in values]
                return pa.array(cells, pa.binary()).view(arrow)
    return pa.array(values, arrow)


def _seconds_and_nanos(values: list[int | None], arrow: Any) -> Array:
    pairs = [divmod(value or 0, _NANOS) for value in values]
    children = [pa.array([pair[n] for pair in pairs], arrow.field(n).type) for n in range(2)]
    return pa.StructArray.from_arrays(children, fields=list(arrow), mask=_nulls(values))


def _nulls(cells: Sequence[Any]) -> Array:
    return pa.array([cell is None for cell in cells], pa.bool_())


# -------------------------------------------------------------------------------------------------------------- nested


def _lists(cells: Sequence[Any], odps_type: OdpsType, cast: bool, wide: bool, arrow: Any) -> Array:
    flat: list[Any] = []
    offsets: list[int | None] = []
    for cell in cells:
        offsets.append(None if cell is None else len(flat))
        if cell is None:
            continue
        if not isinstance(cell, (list, tuple)) and not (isinstance(cell, np.ndarray) and cell.ndim == 1):
            raise Unfit(f"class {type(cell).__name__} does not fit; give a list, a tuple or a 1-D array")
        if odps_type.name == "vector" and len(cell) != odps_type.parameters[0]:
            raise Unfit(f"the vector has {len(cell)} elements")
        flat.extend(cell)
    inner = _array(flat, odps_type.children[0], cast, wide)
    return pa.ListArray.from_arrays(pa.array([*offsets, len(flat)], pa.int32()), inner, type=arrow)


def _maps(cells: Sequence[Any], odps_type: OdpsType, cast: bool, wide: bool, arrow: Any) -> Array:
    keys: list[Any] = []
    items: list[Any] = []
    offsets: list[int | None] = []
    for cell in cells:
        offsets.append(None if cell is None else len(keys))
        if cell is None:
            continue
        try:
            entries = dict(cell)
        except (TypeError, ValueError):
            raise Unfit(f"class {type(cell).__name__} does not fit; give a dict, or pairs of key and value") from None
        if len(entries) != len(cell):
            raise Unfit("a key is in the map twice")
        if any(key is None for key in entries):
            raise Unfit("a key of a map cannot be None")
        keys += entries.keys()
        items += entries.values()
    arrays = (_array(flat, child, cast, wide) for flat, child in zip((keys, items), odps_type.children, strict=True))
    return pa.MapArray.from_arrays(pa.array([*offsets, len(keys)], pa.int32()), *arrays, type=arrow)


def _structs(cells: Sequence[Any], odps_type: OdpsType, cast: bool, wide: bool, arrow: Any) -> Array:
    names = odps_type.field_names
    rows = [(None,) * len(names) if cell is None else _struct_row(cell, names) for cell in cells]
    children = [
        _array([row[position] for row in rows], child, cast, wide) for position, child in enumerate(odps_type.children)
    ]
    return pa.StructArray.from_arrays(children, fields=list(arrow), mask=_nulls(cells))


def _struct_row(cell: Any, names: tuple[str, ...]) -> Sequence[Any]:
    if isinstance(cell, np.void) and cell.dtype.names:
        cell = {name: cell[name] for name in cell.dtype.names}
    if isinstance(cell, dict):
        unknown = [key for key in cell if key not in names]
        if unknown:
            raise Unfit(f"the struct has no field {unknown[0]!r}; its fields are {', '.join(names)}")
        return [cell.get(name) for name in names]
    if not isinstance(cell, (tuple, list)):
        raise Unfit(f"class {type(cell).__name__} does not fit; give a dict by field name, or a tuple")
    if len(cell) != len(names):
        raise Unfit(f"{len(cell)} values for the {len(names)} fields of a struct")
    return cell
