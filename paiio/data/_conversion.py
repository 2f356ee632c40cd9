"""One Arrow column into rows of a NumPy array, or into TensorFlow's form of texts: types, NULLs, ranges. Pure.

Read as                its columns may be
=====================  ================================================================================
int32, int64           TINYINT, SMALLINT, INT, BIGINT, DATETIME (milliseconds since 1970-01-01 UTC)
float32, float64       FLOAT, DOUBLE, DECIMAL; whole numbers that the type can hold exactly
bool                   BOOLEAN
string                 STRING, VARCHAR, CHAR, JSON, BINARY: their bytes, whether or not they are UTF-8
=====================  ================================================================================
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from aiopaiio.odps_types import OdpsType
from paiio.data._defaults import Default
from paiio.data._errors import ValueRangeError

__all__ = ["Filler", "can_read", "no_numbers", "number_filler", "text_parts"]

Array: TypeAlias = Any
Numbers: TypeAlias = npt.NDArray[Any]
Filler: TypeAlias = Callable[[Array, Numbers], None]

_WHOLE = ("tinyint", "smallint", "int", "bigint")
_READ_AS = {
    "int32": (*_WHOLE, "datetime"),
    "int64": (*_WHOLE, "datetime"),
    "float32": (*_WHOLE, "float", "double", "decimal"),
    "float64": (*_WHOLE, "float", "double", "decimal"),
    "bool": ("boolean",),
    "string": ("string", "varchar", "char", "json", "binary"),
}


def can_read(column: OdpsType, default: Default) -> bool:
    """Whether a column of this MaxCompute type can be read as the type of ``default``."""
    return column.name in _READ_AS[default.type_name]


def number_filler(arrow: pa.DataType, default: Default) -> Filler:
    """A function that writes a column of the Arrow type into an array of the default's type, row for row.

    It raises :class:`ValueRangeError` at the first value that does not fit.
    """
    target = default.dtype
    assert target is not None  # a number
    if pa.types.is_boolean(arrow):
        return lambda column, out: _fill_flags(column, out, default.value)
    if pa.types.is_decimal(arrow):
        return lambda column, out: _fill_checked(column.cast(pa.float64()), np.dtype(float), out, default.value)
    source = np.dtype(np.int64) if pa.types.is_timestamp(arrow) else np.dtype(arrow.to_pandas_dtype())
    if np.can_cast(source, target, "safe") and not (source == np.int64 and target == np.float64):
        return lambda column, out: _fill_any(column, source, out, default.value)
    return lambda column, out: _fill_checked(column, source, out, default.value)


def no_numbers(column: Array, out: Numbers) -> None:
    """Stands for the filler of a column of texts, which has none."""
    raise AssertionError(f"{column.type} is no column of numbers")


def _values(column: Array, dtype: np.dtype[Any]) -> Numbers:
    """The value buffer itself; the places of NULLs hold anything."""
    buffer = column.buffers()[1]
    if buffer is None or not buffer.size:
        return np.zeros(len(column), dtype)  # a column of NULLs may come without values
    return np.frombuffer(buffer, dtype, len(column), column.offset * dtype.itemsize)


def _nulls(column: Array) -> npt.NDArray[np.bool_]:
    nulls: npt.NDArray[np.bool_] = column.is_null().to_numpy(zero_copy_only=False)
    return nulls


def _fill_any(column: Array, source: np.dtype[Any], out: Numbers, default: Any) -> None:
    out[:] = _values(column, source)
    if column.null_count:
        out[_nulls(column)] = default


def _fill_flags(column: Array, out: Numbers, default: Any) -> None:
    out[:] = (column.fill_null(bool(default)) if column.null_count else column).to_numpy(zero_copy_only=False)


def _fill_checked(column: Array, source: np.dtype[Any], out: Numbers, default: Any) -> None:
    values = _values(column, source)
    out[:] = values
    if not column.null_count:
        _require_fit(values, out)
        return
    nulls = _nulls(column)
    out[nulls] = default
    _require_fit(values, out, ~nulls)


def _require_fit(values: Numbers, out: Numbers, of: npt.NDArray[np.bool_] | None = None) -> None:
    """Whole numbers must be the same as before, others must not have become infinite."""
    if values.dtype.kind == "f":
        if np.isfinite(out).all():
            return
        fit = np.isfinite(out) | ~np.isfinite(values)
    elif out.dtype.kind == "f":
        # 2**63 is a float, but no int64: what was rounded up to it did not fit.
        whole = np.where(out < 2.0**63, out, 0.0).astype(values.dtype)
        fit = (whole == values) & (out < 2.0**63)
    else:
        if np.array_equal(out, values):
            return
        fit = out == values
    wrong = np.flatnonzero(~fit if of is None else ~fit & of)
    if len(wrong):
        row = int(wrong[0])
        error = ValueRangeError(f"the value {values[row].item()!r} does not fit {out.dtype.name}")
        error.row = row
        raise error


def text_parts(column: Array, default: bytes) -> tuple[npt.NDArray[np.int64], memoryview]:
    """The length of each text of a column, in bytes, and all texts end to end; NULL is ``default``."""
    if pa.types.is_string(column.type):
        column = column.view(pa.binary())
    if column.null_count:
        lengths, content = _lengths_and_texts(column)
        if not default and not lengths[_nulls(column)].any():
            return lengths, content
        column = pc.fill_null(column, pa.scalar(default, column.type))
    return _lengths_and_texts(column)


def _lengths_and_texts(column: Array) -> tuple[npt.NDArray[np.int64], memoryview]:
    if not len(column):
        return np.empty(0, np.int64), memoryview(b"")
    offset_type = np.dtype(np.int64 if pa.types.is_large_binary(column.type) else np.int32)
    _, offset_buffer, text = column.buffers()
    offsets = np.frombuffer(offset_buffer, offset_type, len(column) + 1, column.offset * offset_type.itemsize)
    content = memoryview(text)[offsets[0] : offsets[-1]] if text is not None else memoryview(b"")
    return np.subtract(offsets[1:], offsets[:-1], dtype=np.int64), content
