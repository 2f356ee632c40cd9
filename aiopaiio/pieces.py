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

__all__ = ["Pieces", "join"]


class Pieces:
    """``len(offsets) - 1`` byte strings, end to end in ``content``; ``width`` is set when all are equally long."""

    __slots__ = ("content", "offsets", "width")

    def __init__(
        self, content: npt.NDArray[np.uint8], offsets: npt.NDArray[np.int64], *, width: int | None = None
    ) -> None:
        self.content = content
        self.offsets = offsets
        self.width = width

    @classmethod
    def of_rows(cls, rows: npt.NDArray[np.uint8]) -> Pieces:
        """One piece for each row of a matrix."""
        count, width = rows.shape
        return cls(np.ascontiguousarray(rows).reshape(-1), np.arange(count + 1) * width, width=width)

    @classmethod
    def of_array(cls, array: pa.Array) -> Pieces:
        """The cells of a binary array without NULL."""
        _, offsets, content = array.buffers()
        bounds = np.frombuffer(offsets, np.int32, len(array) + 1, array.offset * 4) if len(array) else np.zeros(1)
        return cls(np.frombuffer(content or b"", np.uint8), bounds.astype(np.int64))

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def rows(self) -> npt.NDArray[np.uint8]:
        """Equally long pieces as a matrix."""
        return self.content.reshape(len(self), self.width or 0)

    def to_array(self) -> pa.Array:
        """The pieces as a binary array on the same memory."""
        offsets = pa.py_buffer(self.offsets.astype(np.int32))
        return pa.Array.from_buffers(pa.binary(), len(self), [None, offsets, pa.py_buffer(self.content)])

    def spread(self, present: npt.NDArray[np.bool_]) -> Pieces:
        """The pieces at the rows where ``present``, and empty ones between them."""
        before = np.zeros(len(present) + 1, np.int64)
        np.cumsum(present, out=before[1:])
        return Pieces(self.content, self.offsets[before])

    def group(self, bounds: npt.NDArray[np.int64]) -> Pieces:
        """Piece ``i`` of the result is pieces ``bounds[i]`` to ``bounds[i + 1]`` of this, end to end."""
        return Pieces(self.content, self.offsets[bounds])


def join(parts: Sequence[Pieces | bytes], count: int) -> Pieces:
    """Row by row, the pieces of ``parts`` after each other; a ``bytes`` part is the same in each of ``count`` rows."""
    runs: list[Pieces] = []
    pending: list[Pieces | bytes] = []
    for part in parts:
        if isinstance(part, bytes) or part.width is not None:
            pending.append(part)
            continue
        if pending:
            runs.append(_side_by_side(pending, count))
            pending = []
        runs.append(part)
    if pending or not runs:
        runs.append(_side_by_side(pending, count))
    if len(runs) == 1:
        return runs[0]
    return Pieces.of_array(pc.binary_join_element_wise(*[run.to_array() for run in runs], b""))


def _side_by_side(parts: Sequence[Pieces | bytes], count: int) -> Pieces:
    widths = [len(part) if isinstance(part, bytes) else part.width or 0 for part in parts]
    rows = np.empty((count, sum(widths)), np.uint8)
    column = 0
    for part, width in zip(parts, widths, strict=True):
        rows[:, column : column + width] = np.frombuffer(part, np.uint8) if isinstance(part, bytes) else part.rows
        column += width
    return Pieces.of_rows(rows)
