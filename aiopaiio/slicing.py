"""Which rows belong to whom: half-open row ranges and the split of a table into slices. Pure arithmetic."""

from __future__ import annotations

from dataclasses import dataclass

from aiopaiio.arguments import whole_number
from aiopaiio.errors import SliceError

__all__ = ["RowRange", "slice_rows"]


@dataclass(frozen=True, slots=True, order=True)
class RowRange:
    """The rows ``start <= row < stop``; zero-based."""

    start: int
    stop: int

    def __post_init__(self) -> None:
        if not 0 <= self.start <= self.stop:
            raise SliceError(f"a row range needs 0 <= start <= end, not start={self.start}, end={self.stop}")

    def __len__(self) -> int:
        return self.stop - self.start

    def __str__(self) -> str:
        return f"[{self.start}, {self.stop})"

    def shift(self, rows: int) -> RowRange:
        """The same number of rows, ``rows`` further on."""
        return RowRange(self.start + rows, self.stop + rows)


def slice_rows(rows: RowRange, slice_id: int, slice_count: int) -> RowRange:
    """The part of ``rows`` that is slice ``slice_id`` of ``slice_count``.

    Slices are contiguous and differ by at most one row; the first ``len(rows) % slice_count`` have the extra one. A
    slice may be empty.
    """
    slice_count = whole_number("slice_count", slice_count, least=1, error=SliceError)
    slice_id = whole_number("slice_id", slice_id, least=0, error=SliceError)
    if slice_id >= slice_count:
        raise SliceError(f"slice_id must be in [0, slice_count), not {slice_id} of {slice_count}: slices count from 0")
    size, larger = divmod(len(rows), slice_count)
    start = rows.start + slice_id * size + min(slice_id, larger)
    return RowRange(start, start + size + (slice_id < larger))
