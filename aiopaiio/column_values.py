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

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from aiopaiio.odps_types import OdpsType, parse_type
from aiopaiio.schema import ODPS_TYPE_KEY
from aiopaiio.wide_time import WideInterval, WideTimestamp

__all__ = ["ColumnValues", "Shape", "StringAs", "field_shape", "object_array", "python_values", "typed_dtype"]

StringAs = Literal["str", "bytes"]
"""What a STRING (CHAR, VARCHAR, JSON) becomes."""

Array: TypeAlias = Any
"""A ``pyarrow.Array``. Not named as such: what is read off the nested kinds is missing from most of their stubs."""

BoolArray = npt.NDArray[np.bool_]

_OBJECT = np.dtype(object)
_MICROS_PER_SECOND = 1_000_000
_NANOS_PER_SECOND = 1_000_000_000

# What datetime.date, datetime.datetime and datetime.timedelta can hold.
_FIRST_DAY, _LAST_DAY = -719_162, 2_932_896
_FIRST_MOMENT, _LAST_MOMENT = _FIRST_DAY * 86_400, (_LAST_DAY + 1) * 86_400 - 1
# Beyond it NumPy's 64 bits of microseconds overflow, long before datetime.timedelta does.
_LONGEST_INTERVAL_SECONDS = (1 << 63) // 1_000_000 - 1

# Whether texts repeat is not worth a look in a batch of fewer rows; and it is a look at some of the rows.
_LEAST_REPEATING_ROWS = 4096
_SAMPLED_ROWS = 256


@dataclass(frozen=True, slots=True)
class Shape:
    """How to read an Arrow column. A STRUCT is an Arrow struct, and so is the wide form of a TIMESTAMP: told apart."""

    kind: Literal["number", "datetime", "date", "moment", "interval", "text", "bytes", "list", "map", "struct", "plain"]
    children: tuple[Shape, ...] = ()
    names: tuple[str, ...] = ()


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
            return Shape("moment")
        if odps and odps.name == "interval_day_time":
            return Shape("interval")
        fields = [arrow.field(position) for position in range(arrow.num_fields)]
        shapes = tuple(child(position, field.type) for position, field in enumerate(fields))
        return Shape("struct", shapes, tuple(field.name for field in fields))
    if is_a.is_map(arrow):
        return Shape("map", (child(0, arrow.key_type), child(1, arrow.item_type)))
    if is_a.is_list(arrow):
        return Shape("list", (child(0, arrow.value_type),))
    if is_a.is_timestamp(arrow):
        return Shape("datetime" if arrow.unit == "ms" else "moment")
    if is_a.is_integer(arrow) or is_a.is_floating(arrow) or is_a.is_boolean(arrow):
        return Shape("number")
    if is_a.is_date32(arrow):
        return Shape("date")
    if is_a.is_string(arrow):
        return Shape("text")
    return Shape("bytes") if is_a.is_binary(arrow) else Shape("plain")


def typed_dtype(shape: Shape, arrow: pa.DataType) -> np.dtype[Any]:
    """The type of a column's field in a record array when no row of it is odd (see :class:`ColumnValues`)."""
    match shape.kind:
        case "number":
            dtype: np.dtype[Any] = np.dtype(arrow.to_pandas_dtype())
            return dtype
        case "datetime":
            return np.dtype(np.int64)
        case "date":
            return np.dtype("M8[D]")
        case "moment":
            return np.dtype("M8[us]")
        case "interval":
            return np.dtype("m8[us]")
    return _OBJECT


def object_array(values: Sequence[Any]) -> npt.NDArray[np.object_]:
    """A 1-D array of these objects; unlike ``numpy.array`` it never looks into them."""
    return np.fromiter(values, _OBJECT, len(values))


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
        self._texts: _Texts | None = None
        self._typed: npt.NDArray[Any] | None = None
        self._odd: BoolArray | None = None
        match shape.kind:
            case "number":
                self._typed, self._odd = _numbers(array), _nulls(array)
            case "datetime":
                self._typed, self._odd = _fixed_width(array, np.dtype(np.int64)), _nulls(array)
            case "date":
                days = _fixed_width(array, np.dtype(np.int32))
                self._typed = days.astype(np.int64).view("M8[D]")
                self._odd = _any_of(_nulls(array), (days < _FIRST_DAY) | (days > _LAST_DAY))
            case "moment" | "interval":
                moments = _Moments(array, shape.kind == "interval")
                self._typed = moments.micros
                self._odd = _any_of(_nulls(array), moments.inexact)

    @property
    def odd(self) -> BoolArray | None:
        """For each row of the batch whether it is odd; None when none is."""
        return self._odd

    def fill(self, field: npt.NDArray[Any], start: int, stop: int) -> None:
        """Put rows ``[start, stop)`` into ``field``: as objects, or as :func:`typed_dtype`, odd ones as anything."""
        if self._typed is None or (field.dtype.hasobject and self._shape.kind not in ("number", "datetime")):
            field[:] = self._objects(start, stop)
        elif self._odd is None or not field.dtype.hasobject:
            field[:] = self._typed[start:stop]
        else:
            # No Python object is made for what only fills the place of a NULL.
            field.fill(None)
            np.copyto(field, self._typed[start:stop], where=~self._odd[start:stop])

    def _objects(self, start: int, stop: int) -> npt.NDArray[np.object_]:
        if self._shape.kind in ("text", "bytes"):
            if self._texts is None:
                self._texts = _Texts(self._array, self._shape, self._string_as)
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
            days = _fixed_width(array, np.dtype(np.int32)).astype(np.int64).view("M8[D]")
            # NumPy gives an int in place of a date outside the years 1 to 9999.
            dates = days.tolist()
            return _with_nulls(array, [d if isinstance(d, date) else days[n] for n, d in enumerate(dates)])
        case "moment" | "interval":
            return _with_nulls(array, _Moments(array, shape.kind == "interval").objects(_nulls(array)))
        case "text" | "bytes":
            texts: list[Any] = _Texts(array, shape, string_as).objects(0, len(array)).tolist()
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


# ------------------------------------------------------------------------------------------------------- fixed width


def _fixed_width(array: Array, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    """The value buffer itself, read-only; the places of NULLs hold anything."""
    buffer = array.buffers()[1]
    if buffer is None or buffer.size < (array.offset + len(array)) * dtype.itemsize:
        return np.zeros(len(array), dtype)  # a column of NULLs may come without values
    return np.frombuffer(buffer, dtype, len(array), array.offset * dtype.itemsize)


def _numbers(array: Array) -> npt.NDArray[Any]:
    if not pa.types.is_boolean(array.type):
        return _fixed_width(array, np.dtype(array.type.to_pandas_dtype()))
    buffer = array.buffers()[1]
    return np.zeros(len(array), np.bool_) if buffer is None or not buffer.size else _bits(array, buffer)


def _nulls(array: Array) -> BoolArray | None:
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


def _any_of(nulls: BoolArray | None, more: BoolArray) -> BoolArray | None:
    if not more.any():
        return nulls
    return more if nulls is None else nulls | more


def _with_nulls(array: Array, values: list[Any]) -> list[Any]:
    nulls = _nulls(array)
    if nulls is not None:
        for position in np.flatnonzero(nulls).tolist():
            values[position] = None
    return values


class _Moments:
    """Timestamps or intervals in any of their Arrow forms: microseconds where those are exact."""

    def __init__(self, array: Array, is_interval: bool) -> None:
        self._is_interval = is_interval
        if pa.types.is_struct(array.type):
            self._seconds = _fixed_width(array.field(0), np.dtype(np.int64))
            self._nanos = _fixed_width(array.field(1), np.dtype(np.int32))
        else:
            per_second = {"s": 1, "us": _MICROS_PER_SECOND, "ns": _NANOS_PER_SECOND}[array.type.unit]
            self._seconds, ticks = np.divmod(_fixed_width(array, np.dtype(np.int64)), per_second)
            self._nanos = ticks * (_NANOS_PER_SECOND // per_second)
        first, last = (
            (-_LONGEST_INTERVAL_SECONDS, _LONGEST_INTERVAL_SECONDS) if is_interval else (_FIRST_MOMENT, _LAST_MOMENT)
        )
        self.inexact: BoolArray = (self._nanos % 1000 != 0) | (self._seconds < first) | (self._seconds > last)
        ticks = self._seconds * _MICROS_PER_SECOND + self._nanos // 1000
        self.micros: npt.NDArray[Any] = ticks.view("m8[us]" if is_interval else "M8[us]")

    def objects(self, nulls: BoolArray | None) -> list[Any]:
        values: list[Any] = self.micros.tolist()
        inexact = self.inexact if nulls is None else self.inexact & ~nulls
        for position in np.flatnonzero(inexact).tolist():
            nanos = int(self._seconds[position]) * _NANOS_PER_SECOND + int(self._nanos[position])
            values[position] = (
                _interval(nanos) if self._is_interval else _numpy_or_wide(nanos, np.datetime64, WideTimestamp)
            )
        return values


def _interval(nanos: int) -> Any:
    micros, rest = divmod(nanos, 1000)
    if not rest:
        try:
            return timedelta(microseconds=micros)
        except OverflowError:
            pass
    return _numpy_or_wide(nanos, np.timedelta64, WideInterval)


def _numpy_or_wide(
    nanos: int, numpy_class: type[np.datetime64 | np.timedelta64], wide_class: type[WideTimestamp | WideInterval]
) -> Any:
    """In NumPy's nanoseconds; in its microseconds where those are too many; in neither where that is not exact."""
    micros, rest = divmod(nanos, 1000)
    # The lowest number of 64 bits is NumPy's NaT.
    if -1 << 63 < nanos < 1 << 63:
        return numpy_class(nanos, "ns")
    if not rest and -1 << 63 < micros < 1 << 63:
        return numpy_class(micros, "us")
    return wide_class(*divmod(nanos, _NANOS_PER_SECOND))


# ------------------------------------------------------------------------------------------------- variable width


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


class _Texts:
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
