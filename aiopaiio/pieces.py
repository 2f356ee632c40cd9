"""Byte strings, one for each row, and how to put them together without a loop over rows.

The record codec works on columns, while its bytes and its checksums run along rows. So each column gives its pieces,
and joining them row by row makes the wire bytes, or the bytes that a record's checksum covers.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

__all__ = ["Mask", "Pieces", "join"]

Grid = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]
Offsets = npt.NDArray[np.int32] | npt.NDArray[np.int64]

_MOST_PARTS = 32  # going along a row touches every part, and memory caches follow only so many of them at a time


class Pieces:
    """Byte strings in one of two forms: end to end in ``content``, or as the kept bytes of each row of a grid.

    The second is what numbers come in, and is joined without looking at single pieces.
    """

    __slots__ = ("_content", "_offsets", "count", "grid", "keep")

    def __init__(self, content: Grid, offsets: Offsets) -> None:
        """Piece ``i`` is ``content[offsets[i]:offsets[i + 1]]``."""
        self.count = len(offsets) - 1
        self.grid: Grid | None = None
        self.keep: Mask | None = None
        self._content: Grid | None = content
        self._offsets: Offsets | None = offsets

    @classmethod
    def of_grid(cls, grid: Grid, keep: Mask | None = None) -> Pieces:
        """Piece ``i`` is ``grid[i]``, or the bytes of it where ``keep`` (of as many columns, or of one) is true."""
        pieces = cls.__new__(cls)
        pieces.count = len(grid)
        pieces.grid = grid
        pieces.keep = keep
        pieces._content = pieces._offsets = None
        return pieces

    @classmethod
    def constant(cls, piece: bytes, count: int) -> Pieces:
        """The same piece ``count`` times."""
        return cls.of_grid(np.broadcast_to(np.frombuffer(piece, np.uint8), (count, len(piece))))

    @classmethod
    def of_array(cls, array: pa.Array) -> Pieces:
        """The cells of a binary array without NULL."""
        if not len(array):
            return cls(np.zeros(0, np.uint8), np.zeros(1, np.int32))
        _, offsets, content = array.buffers()
        bounds = np.frombuffer(offsets, np.int32, len(array) + 1, array.offset * 4)
        return cls(np.frombuffer(content or b"", np.uint8), bounds)

    @property
    def content(self) -> Grid:
        """All pieces end to end, as far as :attr:`offsets` reach."""
        if self._content is None:
            self._flatten()
        assert self._content is not None
        return self._content

    @property
    def offsets(self) -> Offsets:
        """Where each piece begins in :attr:`content`, and where the last one ends."""
        if self._offsets is None:
            self._flatten()
        assert self._offsets is not None
        return self._offsets

    def _flatten(self) -> None:
        assert self.grid is not None
        count, width = self.grid.shape
        if self.keep is None:
            self._content = np.ascontiguousarray(self.grid).reshape(-1)
            self._offsets = np.arange(count + 1, dtype=np.int32) * np.int32(width)
            return
        keep = np.broadcast_to(self.keep, self.grid.shape)
        self._content = self.grid[keep]
        self._offsets = np.zeros(count + 1, np.int32)
        np.cumsum(keep.sum(1), out=self._offsets[1:])

    def to_array(self) -> pa.Array:
        """The pieces as a binary array on the same memory."""
        offsets = pa.py_buffer(self.offsets.astype(np.int32, copy=False))
        return pa.Array.from_buffers(pa.binary(), self.count, [None, offsets, pa.py_buffer(self.content)])

    def only(self, present: Mask) -> Pieces:
        """These pieces where ``present``, empty ones at the other rows; for pieces that are a grid."""
        assert self.grid is not None
        keep = present[:, None]
        return Pieces.of_grid(self.grid, keep if self.keep is None else self.keep & keep)

    def spread(self, present: Mask) -> Pieces:
        """These pieces at the rows where ``present``, in order, and empty ones between them."""
        before = np.zeros(len(present) + 1, np.int64)
        np.cumsum(present, out=before[1:])
        return Pieces(self.content, self.offsets[before])

    def group(self, bounds: Offsets) -> Pieces:
        """Piece ``i`` of the result is pieces ``bounds[i]`` to ``bounds[i + 1]`` of this, end to end."""
        return Pieces(self.content, self.offsets[bounds])


def join(parts: Sequence[Pieces | bytes], count: int) -> Pieces:
    """Row by row, the pieces of ``parts`` after each other; a ``bytes`` part is the same in each of ``count`` rows."""
    if len(parts) > _MOST_PARTS:
        groups = [join(parts[start : start + _MOST_PARTS], count) for start in range(0, len(parts), _MOST_PARTS)]
        return join(groups, count)
    runs: list[Pieces] = []
    grids: list[Pieces] = []
    for part in parts:
        pieces = Pieces.constant(part, count) if isinstance(part, bytes) else part
        if pieces.grid is not None:
            grids.append(pieces)
            continue
        if grids:
            runs.append(_side_by_side(grids, count))
            grids = []
        runs.append(pieces)
    if grids or not runs:
        runs.append(_side_by_side(grids, count))
    if len(runs) == 1:
        return runs[0]
    return Pieces.of_array(pc.binary_join_element_wise(*[run.to_array() for run in runs], b""))


def _side_by_side(parts: Sequence[Pieces], count: int) -> Pieces:
    """One grid of several. Bytes not kept are left out here, so that grids of grids do not carry them along."""
    grids = [part.grid for part in parts if part.grid is not None]
    if len(grids) == 1:
        return parts[0]
    shape = count, sum(grid.shape[1] for grid in grids)
    joined = np.empty(shape, np.uint8)
    keep = None if all(part.keep is None for part in parts) else np.empty(shape, np.bool_)
    column = 0
    for part, grid in zip(parts, grids, strict=True):
        stop = column + grid.shape[1]
        # Piece by piece: byte by byte it would take three times as long.
        piece = f"V{grid.shape[1]}"
        joined[:, column:stop].view(piece)[...] = grid.view(piece)
        if keep is not None:
            keep[:, column:stop] = True if part.keep is None else part.keep
        column = stop
    pieces = Pieces.of_grid(joined, keep)
    return pieces if keep is None else Pieces(pieces.content, pieces.offsets)
