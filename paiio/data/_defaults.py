"""``record_defaults``: for each column the type it is read as and the value in place of NULL. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from paiio.data._errors import RecordDefaultsError

__all__ = ["Default", "parse_default"]

_KINDS = "float32, float64, int32, int64, bool and string"
_NUMBERS = tuple(np.dtype(name) for name in ("float32", "float64", "int32", "int64", "bool"))


@dataclass(frozen=True, slots=True)
class Default:
    """The type of one output column, and what stands for NULL in it.

    ``dtype`` is None for strings, whose ``value`` is ``bytes``; else ``value`` is a scalar of that type.
    """

    dtype: np.dtype[Any] | None
    value: Any

    @property
    def type_name(self) -> str:
        """TensorFlow's name of the type."""
        return "string" if self.dtype is None else self.dtype.name


def parse_default(value: Any, position: int) -> Default:
    """Understand one item of ``record_defaults``.

    A Python int means int32, float float32, bool bool, str and bytes string; a NumPy scalar or array its own type. A
    list, tuple or array must have one element. Raises :class:`RecordDefaultsError`.
    """
    while isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
        if len(value) != 1:
            raise _unfit(position, f"a sequence of {len(value)} elements instead of one")
        value = value[0]
    if isinstance(value, (bool, np.bool_)):
        return Default(np.dtype(bool), bool(value))
    if isinstance(value, str):
        return Default(None, value.encode("utf-8", "surrogateescape"))
    if isinstance(value, bytes):
        return Default(None, value)
    if type(value) is int:
        if not -1 << 31 <= value < 1 << 31:
            raise _unfit(position, f"{value}, which is beyond int32; numpy.int64({value}) asks for int64")
        return Default(np.dtype(np.int32), np.int32(value))
    if type(value) is float:
        return Default(np.dtype(np.float32), np.float32(value))
    array = np.asarray(value)
    if array.size != 1 or array.ndim > 1:
        raise _unfit(position, f"an array of shape {array.shape} instead of one element")
    scalar = array.reshape(())[()]
    if array.dtype in _NUMBERS:
        return Default(array.dtype, scalar)
    if array.dtype.kind in "SUO" and isinstance(array.item(), (str, bytes)):
        return parse_default(array.item(), position)
    raise _unfit(position, f"of type {type(value).__name__}; it must be one of {_KINDS}")


def _unfit(position: int, why: str) -> RecordDefaultsError:
    return RecordDefaultsError(f"record_defaults[{position}] is {why}")
