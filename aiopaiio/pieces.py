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

_LARGE_BYTES = 4 << 20
"""More than this is given back to the system at once; less is soon needed again, and pages made anew cost time."""
_MOST_NARROW_BYTES = np.iinfo(np.int32).max
"""Beyond so many bytes of texts, Arrow's offsets are of 64 bits, which take longer."""


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

    def flat(self) -> Texts:
        return self if self.present is None else super().flat()


def join(parts: Sequence[Pieces], count: int) -> Texts:
    """Row by row, the pieces of ``parts`` after each other."""
    if not count:
        return Texts(np.zeros(0, np.uint8), np.zeros(1, np.int64))
    layout = _Layout(_merged(parts, count), count)
    layout.write_varints()
    layout.write_fixed()
    return layout.with_texts()


class _Layout:
    """All pieces of some rows but the texts, and where each of them stands."""

    def __init__(self, parts: Sequence[Pieces], count: int) -> None:
        self._parts = parts
        self._count = count
        self._varints = [at for at, part in enumerate(parts) if isinstance(part, Varints)]
        self._texts = [at for at, part in enumerate(parts) if isinstance(part, Texts)]
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
            width = _width(part)
            if not width:
                continue
            dtype = f"<u{width}" if width in (1, 2, 4, 8) else f"V{width}"
            starts = self._starts[at] if part.present is None else self._starts[at][part.present]
            if isinstance(part, Fixed):
                values = part.values.view(dtype)
                self._view(dtype)[starts] = values if part.present is None else values[part.present]
            elif isinstance(part, Constant):
                self._view(dtype)[starts] = np.frombuffer(part.piece, dtype)

    def with_texts(self) -> Texts:
        """Everything, with the texts between what was written."""
        bounds = np.zeros(self._count + 1, np.int64)
        bounds[1:] = self._ends
        if not self._texts:
            return Texts(self._content[: self._size], bounds)
        # One array of what stands between texts, then of all texts; Arrow picks from it in the order of the rows.
        between = len(self._texts) + 1
        cell = self._count * between
        runs = np.empty((self._count, between), np.int64)
        runs[:, :-1] = self._starts[self._texts].T
        runs[:, -1] = self._ends
        contents: list[Bytes] = [self._content[: self._size]]
        offsets: list[Offsets] = [bounds[:1], runs.reshape(-1)]
        order = np.empty((self._count, 2 * between - 1), np.int64)
        order[:, ::2] = np.arange(cell).reshape(runs.shape)
        size = self._size
        empty: list[tuple[Mask, int]] = []
        for column, at in zip(range(1, 2 * between, 2), self._texts, strict=False):
            part = self._parts[at]
            assert isinstance(part, Texts)
            first, last = int(part.offsets[0]), int(part.offsets[-1])
            contents.append(part.content[first:last])
            offsets.append(np.add(part.offsets, size - first, dtype=np.int64))
            # The gap before its first offset is a cell too, which nobody picks.
            order[:, column] = np.arange(cell + 1, cell + 1 + self._count)
            if part.present is not None:
                empty.append((~part.present, column))
            size += last - first
            cell += self._count + 1
        offsets.append(np.array([size, size]))
        for absent, column in empty:
            order[absent, column] = cell + 1
        wide = size > _MOST_NARROW_BYTES
        ends = np.concatenate(offsets).astype(np.int64 if wide else np.int32)
        buffers = [None, pa.py_buffer(ends), pa.py_buffer(np.concatenate(contents))]
        cells = pa.Array.from_buffers(pa.large_binary() if wide else pa.binary(), cell + 2, buffers)
        places = pa.array(order.reshape(-1))
        pool = BATCH_POOL if size > _LARGE_BYTES else None
        picked = Texts.of_array(pc.take(cells, places, boundscheck=False, memory_pool=pool))
        return Texts(picked.content, picked.offsets[:: order.shape[1]])

    def _view(self, dtype: str) -> npt.NDArray[Any]:
        """The content as values that begin at every byte."""
        width = np.dtype(dtype).itemsize
        view: npt.NDArray[Any] = np.ndarray((len(self._content) - width + 1,), dtype, self._content, 0, (1,))
        return view


def _merged(parts: Sequence[Pieces], count: int) -> list[Pieces]:
    """The same pieces, with neighbours of a fixed width that are in the same rows made into one."""
    merged: list[Pieces] = []
    for present, alike in groupby(parts, lambda part: (id(part.present), _width(part) > 0)):
        run = list(alike)
        merged += [_one_of(run, count)] if present[1] and len(run) > 1 else run
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
