"""Columns of texts or bytes as Python objects."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from aiopaiio.column_shapes import Shape
from aiopaiio.value_buffers import Array

__all__ = ["StringAs", "TextObjects", "object_array"]

StringAs = Literal["str", "bytes"]
"""What a STRING (CHAR, VARCHAR, JSON) becomes."""

# Whether texts repeat is not worth a look in a batch of fewer rows; and it is a look at some of the rows.
_LEAST_REPEATING_ROWS = 4096
_SAMPLED_ROWS = 256


def object_array(values: Sequence[Any]) -> npt.NDArray[np.object_]:
    """A 1-D array of these objects; unlike ``numpy.array`` it never looks into them."""
    return np.fromiter(values, np.dtype(object), len(values))


def _text_objects(array: Array, string_as: StringAs) -> npt.NDArray[np.object_]:
    if string_as == "bytes" or not pa.types.is_string(array.type):
        raw: npt.NDArray[np.object_] = array.view(pa.binary()).to_numpy(zero_copy_only=False)
        return raw
    try:
        texts: npt.NDArray[np.object_] = array.to_numpy(zero_copy_only=False)
    except (UnicodeDecodeError, pa.ArrowException):
        cells = array.view(pa.binary()).to_pylist()
        return object_array([cell if cell is None else cell.decode("utf-8", "surrogateescape") for cell in cells])
    return texts


class TextObjects:
    """A column of texts or bytes as objects; where few of them are different, one object serves all that are equal."""

    def __init__(self, array: Array, shape: Shape, string_as: StringAs) -> None:
        self._array = array
        self._string_as: StringAs = string_as if shape.kind == "text" else "bytes"
        self._different: npt.NDArray[np.object_] | None = None
        if len(array) >= _LEAST_REPEATING_ROWS:
            sample = array.take(pa.array(np.arange(0, len(array), len(array) // _SAMPLED_ROWS)))
            if len(sample.unique()) <= _SAMPLED_ROWS // 8:
                encoded = array.dictionary_encode()
                # Last the NULL, to which Arrow gives no number.
                self._different = object_array([*_text_objects(encoded.dictionary, self._string_as), None])
                self._number_of_row = encoded.indices.fill_null(len(encoded.dictionary)).to_numpy()

    def objects(self, start: int, stop: int) -> npt.NDArray[np.object_]:
        if self._different is None:
            return _text_objects(self._array.slice(start, stop - start), self._string_as)
        objects: npt.NDArray[np.object_] = self._different.take(self._number_of_row[start:stop])
        return objects
