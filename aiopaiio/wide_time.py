"""Values of TIMESTAMP and INTERVAL_DAY_TIME that neither ``datetime`` nor NumPy can hold. Pure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["WideInterval", "WideTimestamp"]


@dataclass(frozen=True, order=True, slots=True)
class WideTimestamp:
    """A moment such as 9999-12-31 23:59:59.999999999: with nanoseconds, and before 1677 or after 2262.

    Or one more than 292,000 years away. ``seconds`` count from 1970-01-01 00:00:00 UTC, and ``nanoseconds``, 0 to
    999,999,999, from there on.
    """

    seconds: int
    nanoseconds: int

    def __str__(self) -> str:
        return f"{np.datetime64(self.seconds, 's')}.{self.nanoseconds:09}"


@dataclass(frozen=True, order=True, slots=True)
class WideInterval:
    """A length of time with nanoseconds, of more than 292 years; or one of more than 292,000 years.

    ``seconds``, rounded down, and ``nanoseconds``, 0 to 999,999,999, add up.
    """

    seconds: int
    nanoseconds: int
