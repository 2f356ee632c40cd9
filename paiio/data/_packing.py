"""Blocks of rows into few arrays for TensorFlow: all columns of one type are one array. Pure.

What crosses from Python to TensorFlow costs by the piece, so a thousand columns must not be a thousand pieces. Texts
cross as TensorFlow's own serialised form of tensors, one for each column, whose unpacking needs no Python objects.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from aiopaiio.varints import number_bytes
from paiio.data._blocks import Block
from paiio.data._conversion import number_filler, text_parts
from paiio.data._defaults import Default
from paiio.data._errors import ValueRangeError

__all__ = ["Layout", "Pack"]

_MOST_TEXT_BYTES = (1 << 31) - (1 << 16)
"""What TensorFlow can take of one column in one piece."""

_TEXT_GUESS_BYTES = 32


@dataclass(frozen=True, slots=True)
class Pack:
    """The output columns ``positions``, which all have the type ``dtype`` (None: texts)."""

    dtype: np.dtype[Any] | None
    positions: tuple[int, ...]


class Layout:
    """Which column is where."""

    def __init__(self, defaults: Sequence[Default]) -> None:
        self.defaults = tuple(defaults)
        positions: dict[np.dtype[Any] | None, list[int]] = {}
        for position, default in enumerate(defaults):
            positions.setdefault(default.dtype, []).append(position)
        self.packs = tuple(Pack(dtype, tuple(of_type)) for dtype, of_type in positions.items())
        self._fixed_bytes = sum(
            default.dtype.itemsize if default.dtype is not None else _TEXT_GUESS_BYTES for default in defaults
        )
        self._texts = [position for position, default in enumerate(defaults) if default.dtype is None]

    def rows_for(self, byte_count: int) -> int:
        """How many rows are about ``byte_count``, going by the types alone."""
        return max(1, byte_count // max(1, self._fixed_bytes))

    def row_bytes(self, pieces: Sequence[pa.RecordBatch]) -> float:
        """The mean width of these rows."""
        rows = sum(piece.num_rows for piece in pieces)
        texts = sum(piece.column(position).nbytes for piece in pieces for position in self._texts)
        return float(max(1.0, self._fixed_bytes + texts / max(1, rows)))

    def pack(self, block: Block, *, batched: bool) -> tuple[npt.NDArray[Any], ...]:
        """One array for each of ``packs``.

        Numbers: ``(columns, rows)``, or ``(columns, batches, rows of a batch)`` when ``batched``. Texts: an array with
        a serialised tensor for each column. Raises :class:`ValueRangeError` with the block's row and the column's name.
        """
        shape = (block.elements, block.rows_each) if batched else (block.rows,)
        return tuple(
            self._numbers(pack.dtype, pack.positions, block).reshape(len(pack.positions), *shape)
            if pack.dtype is not None
            else self._serialised(pack.positions, block, shape)
            for pack in self.packs
        )

    def _numbers(self, dtype: np.dtype[Any], positions: tuple[int, ...], block: Block) -> npt.NDArray[Any]:
        out = np.empty((len(positions), block.rows), dtype)
        first = 0
        for piece in block.pieces:
            last = first + piece.num_rows
            columns = piece.columns
            for row, position in zip(out[:, first:last], positions, strict=True):
                column = columns[position]
                try:
                    _filler(column.type, self.defaults[position])(column, row)
                except ValueRangeError as error:
                    error.row += first
                    error.message = f"column {piece.schema.names[position]!r}: {error.message}"
                    raise
            first = last
        return out

    def _serialised(self, positions: tuple[int, ...], block: Block, shape: tuple[int, ...]) -> npt.NDArray[np.object_]:
        out = np.empty(len(positions), object)
        for row, position in enumerate(positions):
            default = self.defaults[position].value
            parts = [text_parts(piece.column(position), default) for piece in block.pieces]
            if sum(len(content) for _, content in parts) > _MOST_TEXT_BYTES:
                name = block.pieces[0].schema.names[position]
                raise ValueRangeError(f"column {name!r}: {block.rows} rows have more than 2 GiB of text; batch fewer")
            out[row] = _serialised_texts(parts, shape)
        return out


@lru_cache(maxsize=1024)
def _filler(arrow: pa.DataType, default: Default) -> Any:
    return number_filler(arrow, default)


# The fields of a TensorProto: dtype 1, tensor_shape 2, tensor_content 4.

_STRING_TYPE = b"\x08\x07"


def _serialised_texts(parts: Sequence[tuple[npt.NDArray[np.int64], memoryview]], shape: tuple[int, ...]) -> bytes:
    """A ``TensorProto``; its content is the lengths of all texts as varints, then all texts."""
    lengths = b"".join(_varints(of_piece) for of_piece, _ in parts)
    sizes = [number_bytes(size) for size in shape]
    dims = b"".join(b"\x12" + number_bytes(1 + len(size)) + b"\x08" + size for size in sizes)
    size = len(lengths) + sum(len(content) for _, content in parts)
    head = (_STRING_TYPE, b"\x12", number_bytes(len(dims)), dims, b"\x22", number_bytes(size))
    return b"".join((*head, lengths, *(content for _, content in parts)))


def _varints(numbers: npt.NDArray[np.int64]) -> bytes:
    most = int(numbers.max(initial=0))
    if most < 128:
        return numbers.astype(np.uint8).tobytes()
    places = np.arange(-(-most.bit_length() // 7))
    groups = (numbers[:, None] >> (7 * places)) & 127
    used = (numbers[:, None] >> (7 * places)) > 0
    used[:, 0] = True
    groups[:, :-1] |= used[:, 1:] << 7
    return groups.astype(np.uint8)[used].tobytes()
