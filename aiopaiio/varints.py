"""Numbers of seven bits a byte, many at a time.

A varint gives its low seven bits first and sets the eighth bit of every byte but its last; it has at most ten bytes.
Signed numbers are zigzag coded: 0, -1, 1, -2, ... are sent as 0, 1, 2, 3, ...
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = [
    "LONGEST_NUMBER_BYTES",
    "PADDING_BYTES",
    "Numbers",
    "Positions",
    "StrayError",
    "Wire",
    "number_bytes",
    "number_words",
    "read_numbers",
    "signed",
    "unsigned",
]

Positions = npt.NDArray[np.int64]
Numbers = npt.NDArray[np.uint64]

LONGEST_NUMBER_BYTES = 10

PADDING_BYTES = 32
"""Zero bytes kept after the data, so that a number cut at its end can be read as a whole word."""

_ONES = np.uint64(0x0101010101010101)
_TOPS = np.uint64(0x8080808080808080)
_LOWS = np.uint64(0x7F7F7F7F7F7F7F7F)
_GOING_ON = np.array([sum(0x80 << 8 * at for at in range(min(width - 1, 8))) for width in range(11)], np.uint64)
"""The top bits of a word that is a number of so many bytes."""


class StrayError(Exception):
    """Bytes that are no value of the expected type: damage, or a wrong guess where a record begins or ends.

    ``beyond`` tells that the value goes beyond the bytes at hand. Never leaves the record codec.
    """

    def __init__(self, message: str, *, beyond: bool = False) -> None:
        super().__init__(message)
        self.beyond = beyond


class Wire:
    """Bytes to decode, seen as numbers of several widths that begin at any byte.

    They are not copied but get some zeros behind them; from then on nothing can be added or removed.
    """

    def __init__(self, content: bytearray) -> None:
        self.size = len(content)
        content += bytes(PADDING_BYTES)
        self.bytes = np.frombuffer(content, np.uint8)
        self.words16 = self._words("<u2")
        self.words32 = self._words("<u4")
        self.words64 = self._words("<u8")
        self.view = memoryview(content)

    def _words(self, dtype: str) -> npt.NDArray[Any]:
        count = len(self.bytes) - np.dtype(dtype).itemsize + 1
        words: npt.NDArray[Any] = np.ndarray((count,), dtype, self.bytes, 0, (1,))
        return words


def read_numbers(wire: Wire, at: Positions) -> tuple[Numbers, Positions]:
    """The varints that begin at ``at``, and the positions after them."""
    first = wire.bytes[at]
    if not np.count_nonzero(first > 127):
        return first.astype(np.uint64), at + 1
    word = wire.words64[at]
    stops = ~word & _TOPS
    stop = stops & -stops  # the top bit of the last byte; 0 when that is not among the first eight
    used = stop ^ (stop - np.uint64(1))
    number = word & used & _LOWS
    # Close the gaps: 8 groups of 7 bits to 4 of 14, 2 of 28, 1 of 56.
    greatest = int(number.max())
    number = number & np.uint64(0x007F007F007F007F) | (number & np.uint64(0x7F007F007F007F00)) >> np.uint64(1)
    if greatest >> 16:
        number = number & np.uint64(0x00003FFF00003FFF) | (number & np.uint64(0x3FFF00003FFF0000)) >> np.uint64(2)
    if greatest >> 32:
        number = number & np.uint64(0x000000000FFFFFFF) | (number & np.uint64(0x0FFFFFFF00000000)) >> np.uint64(4)
    length = ((used & _ONES) * _ONES >> np.uint64(56)).view(np.int64)
    if np.count_nonzero(stop) < len(stop):
        long = np.flatnonzero(stop == 0)
        ninth, tenth = wire.bytes[at[long] + 8].astype(np.uint64), wire.bytes[at[long] + 9].astype(np.uint64)
        has_tenth = ninth >> np.uint64(7)
        if (tenth * has_tenth > 1).any():
            raise StrayError("a number of more than 64 bits")
        number[long] |= (ninth & np.uint64(127)) << np.uint64(56) | (tenth * has_tenth) << np.uint64(63)
        length[long] = 9 + has_tenth.view(np.int64)
    return number, at + length


def signed(numbers: Numbers) -> npt.NDArray[np.int64]:
    """Undo zigzag coding."""
    values: npt.NDArray[np.int64] = (numbers >> np.uint64(1)).view(np.int64) ^ -(numbers & np.uint64(1)).view(np.int64)
    return values


def unsigned(values: npt.NDArray[np.int64]) -> Numbers:
    """Zigzag coding."""
    return (values << 1 ^ values >> 63).view(np.uint64)


def number_words(numbers: Numbers) -> tuple[Numbers, npt.NDArray[np.uint8] | None, npt.NDArray[np.uint8]]:
    """The varints of ``numbers``: the first eight bytes of each as a word, the ninth, and how many bytes it has.

    There are no ninth bytes (None) unless a number needs one. A tenth byte follows, and is 1, where its top bit is set.
    """
    greatest = int(numbers.max(initial=0))
    widths = np.ones(numbers.shape, np.uint8)
    for bits in range(7, greatest.bit_length(), 7):
        widths += numbers >= np.uint64(1 << bits)
    # The reverse of what read_numbers does: 1 group of 56 bits to 2 of 28, 4 of 14, 8 of 7.
    words = numbers
    if greatest >> 56:
        words = words & np.uint64((1 << 56) - 1)
    if greatest >> 28:
        words = words & np.uint64(0x000000000FFFFFFF) | (words & np.uint64(0x00FFFFFFF0000000)) << np.uint64(4)
    if greatest >> 14:
        words = words & np.uint64(0x00003FFF00003FFF) | (words & np.uint64(0x0FFFC0000FFFC000)) << np.uint64(2)
    if greatest >> 7:
        words = words & np.uint64(0x007F007F007F007F) | (words & np.uint64(0x3F803F803F803F80)) << np.uint64(1)
        words = words | _GOING_ON[widths]
    tails = (numbers >> np.uint64(56)).astype(np.uint8) if greatest >> 56 else None
    return words, tails, widths


def number_bytes(number: int) -> bytes:
    """The varint of one number."""
    written = bytearray()
    while number > 127:
        written.append(number & 127 | 128)
        number >>= 7
    written.append(number)
    return bytes(written)
