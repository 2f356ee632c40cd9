"""Byte strings, one for each row, and how to put them together without a loop over rows.

The record codec works on columns, while its bytes and its checksums run along rows. So each column describes its pieces
in the form it has them in, and :func:`join` finds the place of each piece, row by row, and writes all of them there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate, groupby
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from aiopaiio.batch_pool import BATCH_POOL
from aiopaiio.varints import LONGEST_NUMBER_BYTES, Numbers, number_words

__all__ = ["Constant", "Fixed", "Mask", "Pieces", "Texts", "Varints", "join"]

Bytes = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]
Offsets = npt.NDArray[np.int32] | npt.NDArray[np.int64]

_WORD_BYTES = 8

_MOST_NARROW_BYTES = np.iinfo(np.int32).max
"""Beyond so many bytes of texts, Arrow's offsets are of 64 bits, which take longer."""
_MOST_AT_ONCE = 32
"""More texts of a row than this are put together in two rounds: from so many places bytes come slower."""


class Pieces:
    """One byte string for each of :attr:`count` rows; empty where :attr:`present` is false."""

    __slots__ = ("count", "present")

    def __init__(self, count: int, present: Mask | None = None) -> None:
        self.count = count
        self.present = present

    def flat(self) -> Texts:
        """The pieces end to end."""
        return join([self], self.count)

    def spread(self, present: Mask) -> Texts:
        """These pieces at the rows where ``present``, in order, and empty ones between them."""
        texts = self.flat()
        before = np.zeros(len(present) + 1, np.int64)
        np.cumsum(present, out=before[1:])
        return Texts(texts.content, texts.offsets[before])

    def group(self, bounds: Offsets) -> Texts:
        """Piece ``i`` of the result is pieces ``bounds[i]`` to ``bounds[i + 1]`` of this, end to end."""
        texts = self.flat()
        return Texts(texts.content, texts.offsets[bounds])


class Constant(Pieces):
    """The same piece in each row."""

    __slots__ = ("piece",)

    def __init__(self, piece: bytes, count: int, present: Mask | None = None) -> None:
        super().__init__(count, present)
        self.piece = piece


class Fixed(Pieces):
    """The bytes of fixed-width values."""

    __slots__ = ("values",)

    def __init__(self, values: npt.NDArray[Any], present: Mask | None = None) -> None:
        super().__init__(len(values), present)
        self.values = values

    def flat(self) -> Texts:
        if self.present is not None:
            return super().flat()
        width = self.values.itemsize
        content = np.ascontiguousarray(self.values).view(np.uint8)
        return Texts(content, np.arange(0, len(content) + 1, width))


class Varints(Pieces):
    """Numbers of seven bits a byte."""

    __slots__ = ("numbers",)

    def __init__(self, numbers: Numbers, present: Mask | None = None) -> None:
        super().__init__(len(numbers), present)
        self.numbers = numbers


class Texts(Pieces):
    """Piece ``i`` is ``content[offsets[i]:offsets[i + 1]]``."""

    __slots__ = ("content", "offsets")

    def __init__(self, content: Bytes, offsets: Offsets, present: Mask | None = None) -> None:
        super().__init__(len(offsets) - 1, present)
        self.content = content
        self.offsets = offsets

    @classmethod
    def of_array(cls, array: pa.Array) -> Texts:
        """The cells of a binary array; those that are NULL may be any bytes."""
        if not len(array):
            return cls(np.zeros(0, np.uint8), np.zeros(1, np.int32))
        _, offsets, content = array.buffers()
        offset_type = np.dtype(np.int64 if pa.types.is_large_binary(array.type) else np.int32)
        bounds = np.frombuffer(offsets, offset_type, len(array) + 1, array.offset * offset_type.itemsize)
        return cls(np.frombuffer(content or b"", np.uint8), bounds)

    @property
    def byte_count(self) -> int:
        """Bytes from the first text to the last; those of empty rows that are not ``present`` count too."""
        return int(self.offsets[-1] - self.offsets[0])

    def flat(self) -> Texts:
        return self if self.present is None else super().flat()

    def array(self, *, wide: bool = False) -> pa.Array:
        """Binary cells of Arrow, NULL where not ``present``; with offsets of 64 bits if ``wide``, or if needed."""
        wide = wide or self.byte_count > _MOST_NARROW_BYTES
        first, last = self.offsets[0], self.offsets[-1]
        offsets = np.ascontiguousarray(self.offsets - first, np.int64 if wide else np.int32)
        valid = None if self.present is None else pa.py_buffer(np.packbits(self.present, bitorder="little"))
        buffers = [valid, pa.py_buffer(offsets), pa.py_buffer(self.content[first:last])]
        return pa.Array.from_buffers(pa.large_binary() if wide else pa.binary(), self.count, buffers)


def join(parts: Sequence[Pieces], count: int) -> Texts:
    """Row by row, the pieces of ``parts`` after each other."""
    if not count or not parts:
        return Texts(np.zeros(0, np.uint8), np.zeros(count + 1, np.int32))
    texts: list[Texts] = []
    for _, run in groupby(parts, lambda part: isinstance(part, Texts)):
        alike = list(run)
        texts += [part for part in alike if isinstance(part, Texts)] or [_laid_out(alike, count)]
    if len(texts) == 1 and texts[0].present is None:
        return texts[0]
    wide = sum(text.byte_count for text in texts) > _MOST_NARROW_BYTES
    arrays = [text.array(wide=wide) for text in texts]
    while len(arrays) > 1 or arrays[0].null_count:
        arrays = [_joined(arrays[at : at + _MOST_AT_ONCE]) for at in range(0, len(arrays), _MOST_AT_ONCE)]
    return Texts.of_array(arrays[0])


def _joined(arrays: Sequence[pa.Array]) -> pa.Array:
    # NULLs are replaced by the empty text. Not skipped: Arrow 26 leaves out a row in which all are NULL.
    separator = pa.scalar(b"", arrays[0].type)
    return pc.binary_join_element_wise(*arrays, separator, null_handling="replace", memory_pool=BATCH_POOL)


def _laid_out(parts: Sequence[Pieces], count: int) -> Texts:
    """The same for pieces that are no texts."""
    merged = _merged(parts, count)
    if len(merged) == 1 and isinstance(merged[0], Fixed) and merged[0].present is None:
        return merged[0].flat()
    layout = _Layout(merged, count)
    layout.write_varints()
    layout.write_fixed()
    return layout.texts()


class _Layout:
    """All pieces of some rows, none of them texts, and where each of them stands."""

    def __init__(self, parts: Sequence[Pieces], count: int) -> None:
        self._parts = parts
        self._count = count
        self._varints = [at for at, part in enumerate(parts) if isinstance(part, Varints)]
        # First within its row, then with all rows before it.
        self._starts = np.empty((len(parts), count), np.int64)
        widths = self._code_varints()
        end: npt.NDArray[np.int64] = np.zeros(count, np.int64)
        for at, part in enumerate(parts):
            self._starts[at] = end
            if isinstance(part, Varints):
                end = end + next(widths)
            elif width := _width(part):
                end = end + (width if part.present is None else width * part.present)
        self._ends = end.cumsum()
        self._starts += self._ends - end
        self._size = int(self._ends[-1])
        # A word may be written at any byte, the last ones too.
        self._content = np.empty(self._size + LONGEST_NUMBER_BYTES + _WORD_BYTES, np.uint8)

    def _code_varints(self) -> Iterator[npt.NDArray[np.uint8]]:
        """Code all numbers at once; return how many bytes each part's take."""
        if not self._varints:
            return iter(())
        parts = [self._parts[at] for at in self._varints]
        numbers = np.concatenate([part.numbers for part in parts if isinstance(part, Varints)])
        self._words, self._tails, self._widths = number_words(numbers.reshape(len(parts), self._count))
        for part, widths in zip(parts, self._widths, strict=True):
            if part.present is not None:
                widths *= part.present
        return iter(self._widths)

    def write_varints(self) -> None:
        """Write whole words, of which the first bytes are meant.

        What they overwrite behind is written later: these words go upwards through all rows, and other pieces follow.
        """
        if not self._varints:
            return
        starts = self._starts[self._varints]
        self._view("<u8")[starts.T.reshape(-1)] = self._words.T.reshape(-1)
        if self._tails is not None:
            long = self._widths > _WORD_BYTES
            starts, tails = starts[long], self._tails[long]
            self._content[starts + _WORD_BYTES] = tails
            self._content[starts[tails > 127] + _WORD_BYTES + 1] = 1

    def write_fixed(self) -> None:
        """Write the pieces that are of one width each."""
        for at, part in enumerate(self._parts):
            if not isinstance(part, Fixed):
                continue
            width = _width(part)
            dtype = f"<u{width}" if width in (1, 2, 4, 8) else f"V{width}"
            starts, values = self._starts[at], part.values.view(dtype)
            if part.present is not None:
                starts, values = starts[part.present], values[part.present]
            self._view(dtype)[starts] = values

    def texts(self) -> Texts:
        """What was written, row by row."""
        bounds = np.zeros(self._count + 1, np.int64)
        bounds[1:] = self._ends
        return Texts(self._content[: self._size], bounds)

    def _view(self, dtype: str) -> npt.NDArray[Any]:
        """The content as values that begin at every byte."""
        width = np.dtype(dtype).itemsize
        view: npt.NDArray[Any] = np.ndarray((len(self._content) - width + 1,), dtype, self._content, 0, (1,))
        return view


def _merged(parts: Sequence[Pieces], count: int) -> list[Pieces]:
    """The same pieces, those of a fixed width as :class:`Fixed`, neighbours that are in the same rows as one."""
    merged: list[Pieces] = []
    for present, alike in groupby(parts, lambda part: (id(part.present), _width(part) > 0)):
        run = list(alike)
        merged += [_one_of(run, count)] if present[1] else run
    return merged


def _one_of(run: Sequence[Pieces], count: int) -> Fixed:
    bounds = list(accumulate(map(_width, run), initial=0))
    same = b"".join(part.piece if isinstance(part, Constant) else bytes(_width(part)) for part in run)
    grid = np.empty((count, bounds[-1]), np.uint8)
    grid[:] = np.frombuffer(same, np.uint8)
    for part, start in zip(run, bounds, strict=False):
        if isinstance(part, Fixed):
            np.ndarray((count,), part.values.dtype, grid, start, (bounds[-1],))[...] = part.values
    return Fixed(grid.view(f"V{bounds[-1]}").reshape(count), run[0].present)


def _width(part: Pieces) -> int:
    """Bytes of each piece, where all have as many; else 0."""
    if isinstance(part, Constant):
        return len(part.piece)
    return int(part.values.itemsize) if isinstance(part, Fixed) else 0
