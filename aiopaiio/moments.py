"""Timestamps and intervals of any length as ``datetime``, NumPy's classes or the wide ones, whichever is exact."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from aiopaiio.value_buffers import Array, BoolArray, fixed_width_values
from aiopaiio.wide_time import WideInterval, WideTimestamp

__all__ = ["FIRST_DAY", "LAST_DAY", "Moments"]

_MICROS_PER_SECOND = 1_000_000
_NANOS_PER_SECOND = 1_000_000_000

# What datetime.date, datetime.datetime and datetime.timedelta can hold.
FIRST_DAY, LAST_DAY = -719_162, 2_932_896
_FIRST_MOMENT, _LAST_MOMENT = FIRST_DAY * 86_400, (LAST_DAY + 1) * 86_400 - 1
# Beyond it NumPy's 64 bits of microseconds overflow, long before datetime.timedelta does.
_LONGEST_INTERVAL_SECONDS = (1 << 63) // 1_000_000 - 1


class Moments:
    """Timestamps or intervals in any of their Arrow forms: microseconds where those are exact."""

    def __init__(self, array: Array, is_interval: bool) -> None:
        self._is_interval = is_interval
        if pa.types.is_struct(array.type):
            self._seconds = fixed_width_values(array.field(0), np.dtype(np.int64))
            self._nanos = fixed_width_values(array.field(1), np.dtype(np.int32))
        else:
            per_second = {"s": 1, "us": _MICROS_PER_SECOND, "ns": _NANOS_PER_SECOND}[array.type.unit]
            self._seconds, ticks = np.divmod(fixed_width_values(array, np.dtype(np.int64)), per_second)
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
