"""Values of the plain MaxCompute types in the record wire form: many of them found, read and written at once.

A :class:`CellType` works on one value of each of many rows, whose positions it is given. Two byte strings belong to a
value: what is on the wire, and what its record's checksum covers (numbers as eight bytes, no lengths, counts or NULL
flags). Reading gives the second and the way to make an Arrow array, which may fail and therefore waits until the
checksum is known to be right.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from aiopaiio.batch_pool import BATCH_POOL
from aiopaiio.decimal_text import decimals_from_text, text_from_decimals
from aiopaiio.errors import SchemaMismatchError, TimestampRangeError
from aiopaiio.pieces import Fixed, Pieces, Texts, Varints, join
from aiopaiio.schema import SECONDS_NANOS
from aiopaiio.varints import Positions, StrayError, Wire, read_numbers, signed, unsigned

__all__ = [
    "DELIMITED",
    "Booleans",
    "CellType",
    "Cells",
    "Decimals",
    "Floats",
    "Integers",
    "SecondsNanos",
    "Strings",
    "read_one_number",
    "skip_one_number",
]

VARINT, FIXED64, DELIMITED, FIXED32 = 0, 1, 2, 5
"""Wire types: how a field's value is encoded, as its tag says."""

_BILLION = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Cells:
    """What was read: the array (once called), the bytes under the checksum, the positions after the values."""

    array: Callable[[], pa.Array]
    summed: Pieces
    after: Positions


class CellType(ABC):
    """How the values of one type are read and written; none of the values it sees is NULL."""

    wire_type: int = VARINT
    reads_absent: bool = False
    """Whether cells that are not there may be read, as anything."""

    writes_absent: bool = False
    """Whether cells that are NULL may be written, as anything."""

    @abstractmethod
    def read(self, wire: Wire, at: Positions, limits: Positions) -> Cells:
        """Read the values that begin at ``at``; none goes beyond its entry of ``limits``. Raises StrayError."""

    @abstractmethod
    def skip(self, wire: Wire, at: Positions) -> Positions:
        """The positions after the values that begin at ``at``."""

    @abstractmethod
    def skip_one(self, content: memoryview, at: int) -> int:
        """The position after the one value that begins at ``at``."""

    @abstractmethod
    def write(self, array: pa.Array) -> tuple[list[Pieces], list[Pieces]]:
        """What each cell is on the wire and under the checksum, as pieces that follow each other.

        ``array`` holds no NULL at its top level, unless :attr:`writes_absent`.
        """


def skip_one_number(content: memoryview, at: int) -> int:
    """The position after the varint that begins at ``at``."""
    while content[at] > 127:
        at += 1
    return at + 1


def read_one_number(content: memoryview, at: int) -> tuple[int, int]:
    """The varint that begins at ``at``, and the position after it."""
    after = skip_one_number(content, at)
    return sum((content[place] & 127) << 7 * (place - at) for place in range(at, after)), after


def _primitive(arrow_type: pa.DataType, values: npt.NDArray[np.generic]) -> pa.Array:
    return pa.Array.from_buffers(arrow_type, len(values), [None, pa.py_buffer(np.ascontiguousarray(values))])


def _numpy(array: pa.Array, dtype: str) -> npt.NDArray[Any]:
    """The values of a fixed-width array without NULL, on the same memory."""
    width = np.dtype(dtype).itemsize
    return np.frombuffer(array.buffers()[1] or b"", dtype, len(array), array.offset * width)


class Integers(CellType):
    """All whole numbers, also DATETIME (milliseconds), DATE (days) and INTERVAL_YEAR_MONTH (months)."""

    reads_absent = True
    writes_absent = True

    def __init__(self, arrow_type: pa.DataType) -> None:
        self._arrow_type = arrow_type
        self._dtype = f"<i{arrow_type.bit_width // 8}"

    def read(self, wire: Wire, at: Positions, limits: Positions) -> Cells:
        numbers, after = read_numbers(wire, at)
        values = signed(numbers)

        def array() -> pa.Array:
            narrow = values.astype(self._dtype, copy=False)
            if self._dtype != "<i8" and (narrow != values).any():
                wrong = int(values[narrow != values][0])
                raise SchemaMismatchError(f"the number {wrong} does not fit {self._arrow_type}")
            return _primitive(self._arrow_type, narrow)

        return Cells(array, Fixed(values), after)

    def skip(self, wire: Wire, at: Positions) -> Positions:
        return read_numbers(wire, at)[1]

    def skip_one(self, content: memoryview, at: int) -> int:
        return skip_one_number(content, at)

    def write(self, array: pa.Array) -> tuple[list[Pieces], list[Pieces]]:
        values = _numpy(array, self._dtype).astype(np.int64)
        return [Varints(unsigned(values))], [Fixed(values)]


class Booleans(CellType):
    reads_absent = True
    writes_absent = True

    def read(self, wire: Wire, at: Positions, limits: Positions) -> Cells:
        values = wire.bytes[at]
        if np.count_nonzero(values > 1):
            raise StrayError("a boolean other than 0 and 1")
        return Cells(lambda: pa.array(values.view(np.bool_)), Fixed(values), at + 1)

    def skip(self, wire: Wire, at: Positions) -> Positions:
        return at + 1

    def skip_one(self, content: memoryview, at: int) -> int:
        return at + 1

    def write(self, array: pa.Array) -> tuple[list[Pieces], list[Pieces]]:
        pieces: list[Pieces] = [Fixed(array.fill_null(False).to_numpy(zero_copy_only=False).view(np.uint8))]
        return pieces, pieces


class Floats(CellType):
    reads_absent = True
    writes_absent = True

    def __init__(self, arrow_type: pa.DataType) -> None:
        self._arrow_type = arrow_type
        self.width: int = arrow_type.bit_width // 8
        self.wire_type = FIXED64 if self.width == 8 else FIXED32

    def read(self, wire: Wire, at: Positions, limits: Positions) -> Cells:
        words = wire.words64 if self.width == 8 else wire.words32
        values = words[at]
        return Cells(lambda: _primitive(self._arrow_type, values), Fixed(values), at + self.width)

    def skip(self, wire: Wire, at: Positions) -> Positions:
        return at + self.width

    def skip_one(self, content: memoryview, at: int) -> int:
        return at + self.width

    def write(self, array: pa.Array) -> tuple[list[Pieces], list[Pieces]]:
        pieces: list[Pieces] = [Fixed(_numpy(array, f"<f{self.width}"))]
        return pieces, pieces


class Strings(CellType):
    """Length and bytes. Text is never decoded: MaxCompute's strings need not be UTF-8, and come back as they were."""

    wire_type = DELIMITED
    writes_absent = True

    def __init__(self, arrow_type: pa.DataType) -> None:
        self._arrow_type = arrow_type

    def read(self, wire: Wire, at: Positions, limits: Positions) -> Cells:
        starts, ends = _string_bounds(wire, at)
        if np.count_nonzero(ends > limits):
            raise StrayError("a string that goes beyond its record", beyond=True)
        # An array of the strings and of all that lies between them, from which Arrow copies every other cell.
        bounds = np.empty(2 * len(at) + 1, np.int32)
        bounds[:-1:2] = starts
        bounds[1::2] = ends
        bounds[-1] = ends[-1] if len(ends) else 0
        buffers = [None, pa.py_buffer(bounds), pa.py_buffer(wire.bytes)]
        everything = pa.Array.from_buffers(pa.binary(), 2 * len(at), buffers)
        cells = pa.array(np.arange(0, 2 * len(at), 2))
        strings = pc.take(everything, cells, boundscheck=False, memory_pool=BATCH_POOL)
        return Cells(lambda: self._array(strings), Texts.of_array(strings), ends)

    def _array(self, strings: pa.Array) -> pa.Array:
        return strings.view(self._arrow_type)

    def skip(self, wire: Wire, at: Positions) -> Positions:
        return _string_bounds(wire, at)[1]

    def skip_one(self, content: memoryview, at: int) -> int:
        length, after = read_one_number(content, at)
        return after + length

    def write(self, array: pa.Array) -> tuple[list[Pieces], list[Pieces]]:
        texts = Texts.of_array(array)
        lengths = np.diff(texts.offsets).astype(np.uint64)
        return [Varints(lengths), texts], [texts]


def _string_bounds(wire: Wire, at: Positions) -> tuple[Positions, Positions]:
    lengths, starts = read_numbers(wire, at)
    if np.count_nonzero(lengths > np.uint64(wire.size)):
        raise StrayError("a string longer than the bytes at hand", beyond=True)
    return starts, starts + lengths.view(np.int64)


class Decimals(Strings):
    """Plain decimal text with all digits of the scale."""

    def _array(self, strings: pa.Array) -> pa.Array:
        return decimals_from_text(strings, self._arrow_type)

    def write(self, array: pa.Array) -> tuple[list[Pieces], list[Pieces]]:
        return super().write(text_from_decimals(array))


class SecondsNanos(CellType):
    """TIMESTAMP, TIMESTAMP_NTZ and INTERVAL_DAY_TIME: two numbers. ``wide`` reads them as a struct of these."""

    wire_type = DELIMITED

    def __init__(self, *, wide: bool) -> None:
        self._wide = wide

    def read(self, wire: Wire, at: Positions, limits: Positions) -> Cells:
        seconds_coded, middle = read_numbers(wire, at)
        nanos_coded, after = read_numbers(wire, middle)
        seconds, nanos = signed(seconds_coded), signed(nanos_coded)
        if (nanos_coded >> np.uint64(32)).any():
            raise StrayError("nanoseconds of more than 32 bits")
        summed = join([Fixed(seconds), Fixed(nanos.astype(np.int32))], len(at))
        return Cells(lambda: self._array(seconds, nanos), summed, after)

    def _array(self, seconds: npt.NDArray[np.int64], nanos: npt.NDArray[np.int64]) -> pa.Array:
        # Some writers round instants before 1970 towards zero and leave negative nanoseconds.
        seconds, nanos = seconds + nanos // _BILLION, nanos % _BILLION
        if self._wide:
            fields = [_primitive(pa.int64(), seconds), _primitive(pa.int32(), nanos.astype(np.int32))]
            return pa.StructArray.from_arrays(fields, fields=list(SECONDS_NANOS))
        least, greatest = divmod(-(1 << 63), _BILLION), divmod((1 << 63) - 1, _BILLION)
        too_early = (seconds < least[0]) | (seconds == least[0]) & (nanos < least[1])
        too_late = (seconds > greatest[0]) | (seconds == greatest[0]) & (nanos > greatest[1])
        if (too_early | too_late).any():
            raise TimestampRangeError(
                f"a timestamp {int(seconds[too_early | too_late][0])} seconds from 1970 is outside what 64 bits of "
                "nanoseconds can hold (years 1677 to 2262); read with wide_timestamps=True"
            )
        return _primitive(pa.timestamp("ns"), seconds * _BILLION + nanos)

    def skip(self, wire: Wire, at: Positions) -> Positions:
        return read_numbers(wire, read_numbers(wire, at)[1])[1]

    def skip_one(self, content: memoryview, at: int) -> int:
        return skip_one_number(content, skip_one_number(content, at))

    def write(self, array: pa.Array) -> tuple[list[Pieces], list[Pieces]]:
        if pa.types.is_struct(array.type):
            seconds_array, nanos_array = array.flatten()
            if seconds_array.null_count or nanos_array.null_count:
                raise SchemaMismatchError("a timestamp or interval whose seconds or nanoseconds are NULL")
            seconds, nanos = _numpy(seconds_array, "<i8"), _numpy(nanos_array, "<i4").astype(np.int64)
            seconds, nanos = seconds + nanos // _BILLION, nanos % _BILLION
        else:
            seconds, nanos = np.divmod(_numpy(array, "<i8"), _BILLION)
        summed: list[Pieces] = [Fixed(seconds), Fixed(nanos.astype(np.int32))]
        return [Varints(unsigned(seconds)), Varints(unsigned(nanos))], summed
