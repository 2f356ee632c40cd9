"""One cell on its way into a column: any Python or NumPy value that fits, in the one form its Arrow array is made from.

The form is ``int`` for integers, DATETIME (milliseconds), DATE (days), TIMESTAMP and INTERVAL_DAY_TIME (nanoseconds)
and INTERVAL_YEAR_MONTH (months); ``float``, ``bool``, ``str`` (text), ``bytes``, ``Decimal`` for the rest. Nothing is
rounded, cut or guessed on the way, except for what a FLOAT or DOUBLE is by nature. Pure.
"""

from __future__ import annotations

import json
import math
import operator
import re
from collections.abc import Callable
from datetime import date, datetime, timedelta, timezone
from decimal import Context, Decimal, InvalidOperation
from typing import Any

import numpy as np

from aiopaiio.odps_types import OdpsType
from aiopaiio.wide_time import WideInterval, WideTimestamp

__all__ = ["INTEGER_BITS", "Unfit", "cell_value"]

INTEGER_BITS = {"tinyint": 8, "smallint": 16, "int": 32, "bigint": 64, "interval_year_month": 32}

_LARGEST_FLOAT32 = float(np.finfo(np.float32).max)
_EXACT_BELOW = 1 << 53
_WHOLE_NUMBER = re.compile(r"[+-]?[0-9]+\Z")
_BEYOND_64_BITS = 1 << 64
_EPOCH = datetime(1970, 1, 1)
_EPOCH_DAY = date(1970, 1, 1).toordinal()
_MICROSECOND = timedelta(microseconds=1)
_DECIMAL = Context(prec=200)
_TRUTH = {"true": True, "1": True, "false": False, "0": False}
_NANOS = 1_000_000_000

_PANDAS_MISSING = frozenset({"NAType", "NaTType"})
"""The classes of pandas.NA and pandas.NaT, known by name so that pandas need not be there."""


class Unfit(Exception):
    """Why a value does not fit its column, to be told with the place where it is."""


def cell_value(value: Any, odps_type: OdpsType, cast: bool) -> Any:
    """The form described at the head of this module, None for NULL; raises :class:`Unfit`.

    ``cast``: text is converted into numeric columns and BOOLEAN, numbers into text, whole numbers between the numeric
    types and BOOLEAN, ``str`` into BINARY. Nested types are not cells of their own: their leaves are.
    """
    if getattr(value, "ndim", None) == 0 and not isinstance(value, np.generic):
        value = _of_no_dimension(value)
    if value is None or type(value).__name__ in _PANDAS_MISSING:
        return None
    return _CONVERT[odps_type.name](value, odps_type, cast)


def _of_no_dimension(array: Any) -> Any:
    """The one value of an array, such as one gets from PyTorch by indexing; None when it is masked."""
    if isinstance(array, np.ndarray):
        value = array[()]  # not item(), which makes a plain int of nanoseconds
        return None if value is np.ma.masked else value
    return array.item() if hasattr(array, "item") else array


def _refused(value: Any) -> Unfit:
    return Unfit(f"class {type(value).__name__} does not fit")


# ------------------------------------------------------------------------------------------------------------- numbers


def _integer(value: Any, odps_type: OdpsType, cast: bool) -> int:
    if isinstance(value, (bool, np.bool_)):
        if not cast:
            raise Unfit("a bool does not fit without allow_type_cast")
        number = int(value)
    elif isinstance(value, (float, np.floating, Decimal)):
        if not cast:
            raise Unfit(f"class {type(value).__name__} does not fit without allow_type_cast")
        finite = value.is_finite() if isinstance(value, Decimal) else math.isfinite(value)
        if not finite or abs(value) >= _BEYOND_64_BITS or value != int(value):
            raise Unfit(
                f"this {type(value).__name__} is not a whole number; round it, or write None for a missing value"
            )
        number = int(value)
    elif isinstance(value, (str, bytes)):
        number = _whole_number(value, cast)
    else:
        try:
            number = operator.index(value)
        except TypeError:
            if odps_type.name == "interval_year_month" and hasattr(value, "total_months"):
                number = int(value.total_months())
            else:
                raise _refused(value) from None
    bits = INTEGER_BITS[odps_type.name]
    if not -1 << (bits - 1) <= number < 1 << (bits - 1):
        raise Unfit(f"the number is out of the range of {bits} bits")
    return number


def _whole_number(value: str | bytes, cast: bool) -> int:
    text = _castable_text(value, cast)
    if not _WHOLE_NUMBER.match(text) or len(text) > 40:
        raise Unfit("the text is not a whole number")
    return int(text)


def _castable_text(value: str | bytes, cast: bool) -> str:
    if not cast:
        raise Unfit("text does not fit without allow_type_cast")
    return (value.decode("utf-8", "replace") if isinstance(value, bytes) else value).strip()


def _float(value: Any, odps_type: OdpsType, cast: bool) -> float:
    if isinstance(value, (str, bytes)):
        text = _castable_text(value, cast)
        try:
            if "_" in text:
                raise ValueError(text)
            number = float(text)
        except ValueError:
            raise Unfit("the text is not a number") from None
    elif isinstance(value, (bool, np.bool_)) and not cast:
        raise Unfit("a bool does not fit without allow_type_cast")
    elif isinstance(value, (bool, int, float, np.number, np.bool_, Decimal)) and not isinstance(
        value, np.complexfloating
    ):
        try:
            number = float(value)
        except (OverflowError, ValueError):
            raise Unfit("the number is no 64-bit floating point number") from None
        if not cast and isinstance(value, (int, np.integer)) and abs(number) >= _EXACT_BELOW and number != value:
            raise Unfit("the whole number would be rounded; use allow_type_cast, or a float")
    else:
        raise _refused(value)
    if odps_type.name == "float" and math.isfinite(number) and abs(number) > _LARGEST_FLOAT32:
        raise Unfit("the number is out of the range of 32-bit floating point")
    return number


def _boolean(value: Any, odps_type: OdpsType, cast: bool) -> bool:
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    if cast and isinstance(value, (str, bytes)):
        truth = _TRUTH.get(_castable_text(value, cast).lower())
        if truth is None:
            raise Unfit("the text is none of true, false, 1 and 0")
        return truth
    if cast and isinstance(value, (int, float, np.number)) and value in (0, 1):
        return bool(value)
    raise _refused(value)


def _decimal(value: Any, odps_type: OdpsType, cast: bool) -> Decimal:
    if isinstance(value, (str, bytes)):
        text = _castable_text(value, cast)
        try:
            number = Decimal(text)
        except InvalidOperation:
            raise Unfit("the text is not a number") from None
    elif isinstance(value, Decimal):
        number = value
    elif isinstance(value, (float, np.floating)):
        if not cast:
            raise Unfit("a float does not fit without allow_type_cast; use Decimal")
        number = Decimal(repr(float(value)))
    elif isinstance(value, bool) and not cast:
        raise Unfit("a bool does not fit without allow_type_cast")
    else:
        try:
            number = Decimal(operator.index(value))
        except TypeError:
            raise _refused(value) from None
    precision, scale = odps_type.parameters or (54, 18)
    if not number.is_finite():
        raise Unfit(f"{number} is not a decimal number; write None for a missing value")
    try:
        exact = number == (cut := number.quantize(Decimal(1).scaleb(-scale, _DECIMAL), context=_DECIMAL))
    except InvalidOperation:
        raise Unfit(f"the number has more than {precision} digits") from None
    if not exact:
        raise Unfit(f"the number has more than {scale} digits after the point; round it")
    if cut.adjusted() >= precision - scale and cut:
        raise Unfit(f"the number has more than {precision - scale} digits before the point")
    return cut


# ---------------------------------------------------------------------------------------------------------------- text


def _text(value: Any, odps_type: OdpsType, cast: bool) -> str:
    if isinstance(value, str):
        text = str(value)
    elif isinstance(value, (bytes, bytearray, memoryview)):
        text = bytes(value).decode("utf-8", "surrogateescape")
    elif odps_type.name == "json" and isinstance(value, (dict, list)):
        try:
            text = json.dumps(value, ensure_ascii=False)
        except (TypeError, ValueError) as error:
            raise Unfit(f"the value cannot be written as JSON: {error}") from None
    else:
        text = _text_of_number(value, cast)
    if not text.isascii():
        try:
            text.encode("utf-8", "surrogateescape")
        except UnicodeEncodeError:
            raise Unfit("the text holds lone surrogates, which are no characters") from None
    if odps_type.parameters and len(text) > odps_type.parameters[0]:
        raise Unfit(f"the text has {len(text)} characters")
    return text


def _text_of_number(value: Any, cast: bool) -> str:
    # Not of a bool, which is spelt in more than one way, nor of NaN: in a data frame that is a text that is missing.
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, float, np.integer, np.floating, Decimal)):
        hint = "; convert it with str()" if isinstance(value, (bool, np.bool_, complex)) else ""
        raise Unfit(f"class {type(value).__name__} does not fit{hint}")
    if not cast:
        raise Unfit("a number does not fit without allow_type_cast; convert it with str()")
    if isinstance(value, (int, np.integer)):
        try:
            return str(int(value))
        except ValueError:
            raise Unfit("the number has too many digits") from None
    if not (value.is_finite() if isinstance(value, Decimal) else math.isfinite(value)):
        raise Unfit(f"{value} is no text; write None for a missing value, or convert it with str()")
    return str(value)


def _binary(value: Any, odps_type: OdpsType, cast: bool) -> bytes:
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value)
    if isinstance(value, str):
        if not cast:
            raise Unfit("text does not fit without allow_type_cast; encode it")
        return _text(value, odps_type, cast).encode("utf-8", "surrogateescape")
    raise _refused(value)


# ---------------------------------------------------------------------------------------------------------------- time


def _ticks(value: np.datetime64 | np.timedelta64, per_second: int) -> int | None:
    """NumPy's time as a whole number of ticks, None for NaT; Python's integers, so that nothing overflows."""
    if np.isnat(value):
        return None
    unit, count = np.datetime_data(value.dtype)
    if unit in ("Y", "M"):
        if isinstance(value, np.timedelta64):
            raise Unfit(f"a timedelta64[{unit}] has no fixed length")
        value, unit, count = value.astype("M8[D]"), "D", 1
    sizes = {"W": (604_800, 1), "D": (86_400, 1), "h": (3600, 1), "m": (60, 1), "s": (1, 1), "ms": (1, 10**3)}
    sizes |= {"us": (1, 10**6), "ns": (1, 10**9), "ps": (1, 10**12), "fs": (1, 10**15), "as": (1, 10**18)}
    seconds, parts = sizes.get(unit, (1, 1))
    ticks, rest = divmod(int(value.astype(np.int64)) * count * seconds * per_second, parts)
    if rest:
        raise Unfit(f"a {type(value).__name__}[{unit}] with a fraction that its column cannot hold; round it")
    return ticks


def _micros(value: datetime) -> int:
    """Microseconds since 1970 in UTC; a datetime without a time zone is in UTC."""
    if value.tzinfo is not None:
        value = value.astimezone(timezone.utc).replace(tzinfo=None)
    return (value - _EPOCH) // _MICROSECOND


def _datetime(value: Any, odps_type: OdpsType, cast: bool) -> int | None:
    if isinstance(value, np.datetime64):
        milliseconds = _ticks(value, 1000)
    elif isinstance(value, datetime):
        milliseconds, rest = divmod(_micros(value), 1000)
        if rest or getattr(value, "nanosecond", 0):
            raise Unfit("a datetime with a fraction of a millisecond; round it")
    elif isinstance(value, (int, np.integer)) and not isinstance(value, bool):
        milliseconds = int(value)
    elif cast and isinstance(value, (str, bytes)):
        milliseconds = _whole_number(value, cast)
    else:
        raise Unfit(f"class {type(value).__name__} does not fit; give milliseconds since 1970 as int, or a datetime")
    if milliseconds is not None and not -1 << 63 <= milliseconds < 1 << 63:
        raise Unfit("the number is out of the range of 64 bits")
    return milliseconds


def _date(value: Any, odps_type: OdpsType, cast: bool) -> int | None:
    if isinstance(value, datetime):
        raise Unfit("a datetime does not fit; use its date()")
    if isinstance(value, date):
        return value.toordinal() - _EPOCH_DAY
    if isinstance(value, np.datetime64):
        seconds = _ticks(value, 1)
        if seconds is None:
            return None
        days, rest = divmod(seconds, 86_400)
        if rest:
            raise Unfit("a datetime64 with a time of day; use its date")
        if not -1 << 31 <= days < 1 << 31:
            raise Unfit("the date is out of the range of 32 bits")
        return days
    raise Unfit(f"class {type(value).__name__} does not fit; give a datetime.date")


def _timestamp(value: Any, odps_type: OdpsType, cast: bool) -> int | None:
    if isinstance(value, np.datetime64):
        nanos = _ticks(value, _NANOS)
    elif isinstance(value, datetime):
        # pandas.Timestamp is a datetime with three digits more.
        nanos = _micros(value) * 1000 + int(getattr(value, "nanosecond", 0))
    elif isinstance(value, WideTimestamp):
        nanos = value.seconds * _NANOS + value.nanoseconds
    else:
        raise Unfit(f"class {type(value).__name__} does not fit; give a datetime or a numpy.datetime64")
    return _of_64_bit_seconds(nanos)


def _interval(value: Any, odps_type: OdpsType, cast: bool) -> int | None:
    if isinstance(value, np.timedelta64):
        return _of_64_bit_seconds(_ticks(value, _NANOS))
    if isinstance(value, timedelta):
        return (value // _MICROSECOND) * 1000 + int(getattr(value, "nanoseconds", 0))
    if isinstance(value, WideInterval):
        return _of_64_bit_seconds(value.seconds * _NANOS + value.nanoseconds)
    raise Unfit(f"class {type(value).__name__} does not fit; give a timedelta or a numpy.timedelta64")


def _of_64_bit_seconds(nanos: int | None) -> int | None:
    if nanos is not None and not -1 << 63 <= nanos // _NANOS < 1 << 63:
        raise Unfit("the value is out of the range of 64-bit seconds")
    return nanos


_CONVERT: dict[str, Callable[[Any, OdpsType, bool], Any]] = {
    **dict.fromkeys(INTEGER_BITS, _integer),
    **dict.fromkeys(("float", "double"), _float),
    "boolean": _boolean,
    "decimal": _decimal,
    **dict.fromkeys(("string", "char", "varchar", "json"), _text),
    "binary": _binary,
    "datetime": _datetime,
    "date": _date,
    **dict.fromkeys(("timestamp", "timestamp_ntz"), _timestamp),
    "interval_day_time": _interval,
}
