"""What both directions of the record wire form share: tags, the fields of a record, the checksum of each record."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pyarrow as pa
from crc32c import crc32c

from aiopaiio.odps_types import OdpsType
from aiopaiio.pieces import Mask, Pieces, Texts, join
from aiopaiio.record_cells import CellType
from aiopaiio.record_nested import cell_type
from aiopaiio.schema import Column
from aiopaiio.varints import Positions, Wire, number_bytes

__all__ = [
    "END_METRICS",
    "END_RECORD",
    "META_CHECKSUM",
    "META_COUNT",
    "METRICS",
    "Field",
    "metrics_checksum",
    "record_checksums",
]

# Field numbers beyond any column's, all with wire type 0.
END_RECORD = number_bytes(33553408 << 3)
META_COUNT = number_bytes(33554430 << 3)
META_CHECKSUM = number_bytes(33554431 << 3)
END_METRICS = number_bytes(33554176 << 3)
METRICS = number_bytes(1 << 3 | 2)

_LONG_BYTES = 64 << 10
_BLOCK_ROWS = 512  # so many records are there once more for a moment


@dataclass(frozen=True, slots=True)
class Field:
    """One column on the wire: its tag and its cells."""

    type: pa.DataType
    cells: CellType
    tag: bytes
    tag_word: int
    summed_number: bytes

    @classmethod
    def of(cls, column: Column, number: int, arrow: pa.DataType) -> Field:
        odps_type: OdpsType = column.odps_type
        cells = cell_type(odps_type, arrow)
        tag = number_bytes(number << 3 | cells.wire_type)
        return cls(arrow, cells, tag, int.from_bytes(tag, "little"), number.to_bytes(4, "little"))

    def present(self, wire: Wire, at: Positions) -> Mask:
        """At which positions the tag of this column stands."""
        match len(self.tag):
            case 1:
                here = wire.bytes[at]
            case 2:
                here = wire.words16[at]
            case width:
                here = wire.words32[at] & np.uint32((1 << 8 * width) - 1)
        found: Mask = here == self.tag_word
        return found


def record_checksums(summed: Sequence[Pieces], count: int) -> list[int]:
    """The CRC32C of each of ``count`` records, from what their fields put under it."""
    text_bytes = sum(part.byte_count for part in summed if isinstance(part, Texts))
    if text_bytes > _LONG_BYTES * count:
        # So long that to put them together, which copies them twice, costs more than a call for each piece.
        checksums = [0] * count
        for part in summed:
            flat = part.flat()
            content, bounds = flat.content.data, pairwise(flat.offsets.tolist())
            checksums = [
                crc32c(content[start:stop], before) for before, (start, stop) in zip(checksums, bounds, strict=True)
            ]
        return checksums
    # Arrow makes bytes of its cells in less time than Python cuts a memoryview.
    records = join(summed, count).array()
    blocks = (records.slice(start, _BLOCK_ROWS) for start in range(0, count, _BLOCK_ROWS))
    return [crc32c(record) for block in blocks for record in block.to_numpy(zero_copy_only=False)]


def metrics_checksum(metrics: bytes | memoryview) -> int:
    """The CRC32C of the metrics in a footer, which are field number 1."""
    return crc32c(metrics, crc32c(b"\1\0\0\0"))
