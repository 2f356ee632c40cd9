"""Checks of numbers and choices that callers give. Pure; the errors say which argument is wrong and what it may be."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

from aiopaiio.errors import UsageError

__all__ = ["one_of", "positive_number", "whole_number"]


def whole_number(name: str, value: Any, *, least: int, error: type[UsageError] = UsageError) -> int:
    """``value`` as an int of at least ``least``; NumPy's integers are welcome. Raises ``error``."""
    try:
        number = operator.index(value)
    except TypeError:
        raise error(f"{name} must be a whole number, not {type(value).__name__} {value!r:.50}") from None
    if number < least:
        raise error(f"{name} must be at least {least}, not {number}")
    return number


def positive_number(name: str, value: float) -> None:
    """Raise :class:`~aiopaiio.errors.UsageError` unless ``value`` is a number above 0."""
    if not isinstance(value, (int, float)) or not value > 0:
        raise UsageError(f"{name} must be a number above 0, not {value!r:.50}")


def one_of(name: str, value: Any, choices: Sequence[str]) -> None:
    """Raise :class:`~aiopaiio.errors.UsageError` unless ``value`` is among ``choices``."""
    if value not in choices:
        raise UsageError(f"{name} must be one of {', '.join(map(repr, choices))}, not {value!r:.50}")
