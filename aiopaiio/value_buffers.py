"""The buffers of one Arrow column as NumPy arrays."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

__all__ = ["Array", "BoolArray", "fixed_width_values", "null_mask", "number_values"]

Array: TypeAlias = Any
"""A ``pyarrow.Array``. Not named as such: what is read off the nested kinds is missing from most of their stubs."""

BoolArray = npt.NDArray[np.bool_]


def fixed_width_values(array: Array, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    """The value buffer itself, read-only; the places of NULLs hold anything."""
    buffer = array.buffers()[1]
    if buffer is None or buffer.size < (array.offset + len(array)) * dtype.itemsize:
        return np.zeros(len(array), dtype)  # a column of NULLs may come without values
    return np.frombuffer(buffer, dtype, len(array), array.offset * dtype.itemsize)


def number_values(array: Array, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    """The values of a column of numbers, booleans or DATETIMEs; the places of NULLs hold anything."""
    if dtype != np.bool_:
        return fixed_width_values(array, dtype)
    buffer = array.buffers()[1]
    return np.zeros(len(array), np.bool_) if buffer is None or not buffer.size else _bits(array, buffer)


def null_mask(array: Array) -> BoolArray | None:
    """For each row whether it is NULL; None when none is."""
    if not array.null_count:
        return None
    validity = array.buffers()[0]
    return np.ones(len(array), np.bool_) if validity is None else ~_bits(array, validity)


def _bits(array: Array, buffer: pa.Buffer) -> BoolArray:
    """One of the array's two possible buffers of bits; faster than Arrow's own way to bytes."""
    first_byte, bit = divmod(array.offset, 8)
    byte_count = (bit + len(array) + 7) // 8
    bits = np.unpackbits(np.frombuffer(buffer, np.uint8, byte_count, first_byte), bitorder="little")
    return bits[bit : bit + len(array)].view(np.bool_)
