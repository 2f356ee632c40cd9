"""Blocks of rows into few arrays for TensorFlow: all columns of one type are one array. Pure.

What crosses from Python to TensorFlow costs by the piece, so a thousand columns must not be a thousand pieces. Texts
cross as TensorFlow's own serialised form of tensors, one for each column, whose unpacking needs no Python objects.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from aiopaiio.varints import number_bytes
from paiio.data._blocks import Block
from paiio.data._conversion import Filler, no_numbers, number_filler, text_parts
from paiio.data._defaults import Default
from paiio.data._errors import ValueRangeError

__all__ = ["Layout", "Pack"]

_MOST_TEXT_BYTES = (1 << 31) - (1 << 16)
"""What TensorFlow can take of one column in one piece."""

_LONG_ROWS = 2048
"""What is done for each column of each piece costs more than copying shorter ones together."""

Pieces: TypeAlias = list[tuple[pa.Schema, list[Any]]]
"""The schema and the columns of each piece of a block."""


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
        self._known: tuple[pa.Schema | None, list[Filler]] = None, []

    def pack(self, block: Block, *, batched: bool) -> tuple[npt.NDArray[Any], ...]:
        """One array for each of ``packs``.

        Numbers: ``(columns, rows)``, or ``(columns, batches, rows of a batch)`` when ``batched``. Texts: an array with
        a serialised tensor for each column. Raises :class:`ValueRangeError` with the block's row and the column's name.
        """
        shape = (block.elements, block.rows_each) if batched else (block.rows,)
        batches = block.pieces
        if len(batches) > 1 and block.rows < _LONG_ROWS * len(batches):
            batches = pa.Table.from_batches(batches).combine_chunks().to_batches()
        pieces = [(piece.schema, piece.columns) for piece in batches]
        return tuple(
            self._numbers(pack.dtype, pack.positions, pieces, block.rows).reshape(len(pack.positions), *shape)
            if pack.dtype is not None
            else self._serialised(pack.positions, pieces, shape)
            for pack in self.packs
        )

    def _numbers(self, dtype: np.dtype[Any], positions: tuple[int, ...], pieces: Pieces, rows: int) -> npt.NDArray[Any]:
        out = np.empty((len(positions), rows), dtype)
        first, position = 0, 0
        try:
            # What overflows is found by those who check.
            with np.errstate(over="ignore", invalid="ignore"):
                for schema, columns in pieces:
                    fillers = self._fillers_for(schema)
                    last = first + len(columns[0])
                    for row, position in zip(out[:, first:last], positions, strict=True):
                        fillers[position](columns[position], row)
                    first = last
        except ValueRangeError as error:
            error.row += first
            error.message = f"column {pieces[0][0].names[position]!r}: {error.message}"
            raise
        return out

    def _fillers_for(self, schema: pa.Schema) -> list[Filler]:
        """What writes each column of numbers. Remembered for the schema that came last."""
        known, fillers = self._known
        if known is None or not schema.equals(known):
            fillers = [
                no_numbers if default.dtype is None else number_filler(field.type, default)
                for field, default in zip(schema, self.defaults, strict=True)
            ]
            self._known = schema, fillers
        return fillers

    def _serialised(self, positions: tuple[int, ...], pieces: Pieces, shape: tuple[int, ...]) -> npt.NDArray[Any]:
        out = np.empty(len(positions), object)
        for row, position in enumerate(positions):
            default = self.defaults[position].value
            parts = [text_parts(columns[position], default) for _, columns in pieces]
            if sum(len(content) for _, content in parts) > _MOST_TEXT_BYTES:
                name = pieces[0][0].names[position]
                raise ValueRangeError(f"column {name!r}: a block has more than 2 GiB of text; batch fewer rows")
            out[row] = _serialised_texts(parts, shape)
        return out


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
