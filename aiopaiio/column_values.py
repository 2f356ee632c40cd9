"""One Arrow column as plain Python values and as a NumPy array. Pure; knows nothing of rows, tables or services.

The Python value of each MaxCompute type:

=====================================  ==============================================================================
TINYINT, SMALLINT, INT, BIGINT         ``int``
FLOAT, DOUBLE                          ``float``
BOOLEAN                                ``bool``
STRING, CHAR, VARCHAR, JSON            ``str``; bytes that are not UTF-8 become lone surrogates (``surrogateescape``),
                                       so that writing the value back gives the same bytes
BINARY                                 ``bytes``
DATETIME                               ``int``, milliseconds since 1970-01-01 UTC
DATE                                   ``datetime.date``; ``numpy.datetime64`` in days before the year 1 or after 9999
TIMESTAMP, TIMESTAMP_NTZ               naive ``datetime.datetime`` in UTC; ``numpy.datetime64`` in nanoseconds for a
                                       value that is not a whole number of microseconds, in microseconds for one
                                       before the year 1 or after 9999; :class:`~aiopaiio.WideTimestamp` for one
                                       that is neither, having nanoseconds before 1677 or after 2262
INTERVAL_DAY_TIME                      ``datetime.timedelta``; ``numpy.timedelta64`` in nanoseconds, and
                                       :class:`~aiopaiio.WideInterval`, likewise
INTERVAL_YEAR_MONTH                    ``int``, months
DECIMAL                                ``decimal.Decimal``
ARRAY and VECTOR, MAP, STRUCT          ``list``, ``dict``, ``dict`` by field name, holding values of this table
NULL                                   ``None``
=====================================  ==============================================================================
"""

from __future__ import annotations

from datetime import date
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from aiopaiio.column_shapes import Shape
from aiopaiio.moments import FIRST_DAY, LAST_DAY, Moments
from aiopaiio.text_objects import StringAs, TextObjects, object_array
from aiopaiio.value_buffers import Array, BoolArray, fixed_width_values, null_mask, number_values

__all__ = ["ColumnValues", "python_values"]


class ColumnValues:
    """One column of a batch, ready to be cut into rows.

    A row is *odd* when only an object can hold its value: a NULL in a column of numbers, or nanoseconds that
    ``datetime`` lacks. Columns whose values all are objects (texts, lists) have no odd rows.
    """

    __slots__ = ("_array", "_odd", "_shape", "_string_as", "_texts", "_typed")

    def __init__(self, array: Array, shape: Shape, string_as: StringAs = "str") -> None:
        self._array = array
        self._shape = shape
        self._string_as: StringAs = string_as
        self._texts: TextObjects | None = None
        self._typed: npt.NDArray[Any] | None = None
        self._odd: BoolArray | None = None
        match shape.kind:
            case "number" | "datetime":
                self._typed, self._odd = number_values(array, shape.dtype), null_mask(array)
            case "date":
                days = fixed_width_values(array, np.dtype(np.int32))
                self._typed = days.astype(np.int64).view("M8[D]")
                self._odd = _any_of(null_mask(array), (days < FIRST_DAY) | (days > LAST_DAY))
            case "moment" | "interval":
                moments = Moments(array, shape.kind == "interval")
                self._typed = moments.micros
                self._odd = _any_of(null_mask(array), moments.inexact)

    @property
    def odd(self) -> BoolArray | None:
        """For each row of the batch whether it is odd; None when none is."""
        return self._odd

    def fill(self, field: npt.NDArray[Any], start: int, stop: int) -> None:
        """Put rows ``[start, stop)`` into ``field``: as objects, or as the shape's dtype, odd ones as anything.

        A field of objects must hold None everywhere.
        """
        if self._typed is None or (field.dtype.hasobject and self._shape.kind not in ("number", "datetime")):
            field[:] = self._objects(start, stop)
        elif self._odd is None or not field.dtype.hasobject:
            field[:] = self._typed[start:stop]
        else:
            # No Python object is made for what only fills the place of a NULL.
            np.copyto(field, self._typed[start:stop], where=~self._odd[start:stop])

    def _objects(self, start: int, stop: int) -> npt.NDArray[np.object_]:
        if self._shape.kind in ("text", "bytes"):
            if self._texts is None:
                self._texts = TextObjects(self._array, self._shape, self._string_as)
            return self._texts.objects(start, stop)
        rows = self._array.slice(start, stop - start)
        return object_array(python_values(rows, self._shape, self._string_as))


def python_values(array: Array, shape: Shape, string_as: StringAs = "str") -> list[Any]:
    """The values of a column by the table at the head of this module."""
    match shape.kind:
        case "datetime":
            milliseconds: list[Any] = array.view(pa.int64()).to_pylist()
            return milliseconds
        case "date":
            days = fixed_width_values(array, np.dtype(np.int32)).astype(np.int64).view("M8[D]")
            # NumPy gives an int in place of a date outside the years 1 to 9999.
            dates = days.tolist()
            return _with_nulls(array, [d if isinstance(d, date) else days[n] for n, d in enumerate(dates)])
        case "moment" | "interval":
            return _with_nulls(array, Moments(array, shape.kind == "interval").objects(null_mask(array)))
        case "text" | "bytes":
            texts: list[Any] = TextObjects(array, shape, string_as).objects(0, len(array)).tolist()
            return texts
        case "list":
            return _with_nulls(
                array, _cut(array, python_values(_inner(array, array.values), shape.children[0], string_as))
            )
        case "map":
            keys, items = (
                _cut(array, python_values(_inner(array, flat), child, string_as))
                for flat, child in zip((array.keys, array.items), shape.children, strict=True)
            )
            return _with_nulls(array, [dict(zip(*entry, strict=True)) for entry in zip(keys, items, strict=True)])
        case "struct":
            columns = [
                python_values(array.field(position), child, string_as) for position, child in enumerate(shape.children)
            ]
            rows = zip(*columns, strict=True) if columns else ((),) * len(array)
            return _with_nulls(array, [dict(zip(shape.names, row, strict=True)) for row in rows])
    values: list[Any] = array.to_pylist()
    return values


def _any_of(nulls: BoolArray | None, more: BoolArray) -> BoolArray | None:
    if not more.any():
        return nulls
    return more if nulls is None else nulls | more


def _with_nulls(array: Array, values: list[Any]) -> list[Any]:
    nulls = null_mask(array)
    if nulls is not None:
        for position in np.flatnonzero(nulls).tolist():
            values[position] = None
    return values


def _inner(array: Array, inner: Array) -> Array:
    """The part of a list's or map's inner column that belongs to the rows of ``array``, which may be a slice."""
    if not len(array):
        return inner.slice(0, 0)
    offsets = array.offsets
    first = offsets[0].as_py()
    return inner.slice(first, offsets[-1].as_py() - first)


def _cut(array: Array, values: list[Any]) -> list[list[Any]]:
    if not len(array):
        return []
    offsets = array.offsets.to_numpy()
    return [values[start:stop] for start, stop in pairwise((offsets - offsets[0]).tolist())]
