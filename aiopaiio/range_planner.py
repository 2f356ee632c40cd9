"""How many rows to ask for at once: pure arithmetic on what has been seen of the rows so far."""

from __future__ import annotations

from collections.abc import Iterable

import pyarrow as pa

__all__ = ["RangePlanner"]

SMALLEST_RANGE_BYTES = 1 << 20
"""Below this a request costs more than its bytes; a table smaller than this is read by one request."""

LARGEST_RANGE_BYTES = 16 << 20
"""At 10 MB/s a stream this takes 1.6 s, so that a round trip of 50 ms between two ranges costs 3 %."""

_VARIABLE_WIDTH_GUESS_BYTES = 64
_SMOOTHING = 0.25


class RangePlanner:
    """Row counts for row ranges that come out near ``range_bytes``, learned from the batches that came.

    ``stream_limit_bytes`` is the memory one download may hold; a single row may exceed it, nothing else should.
    """

    def __init__(self, schema: pa.Schema, stream_limit_bytes: int) -> None:
        self.stream_limit_bytes = stream_limit_bytes
        self._range_bytes = min(LARGEST_RANGE_BYTES, stream_limit_bytes)
        self._bytes_per_row = max(1.0, float(sum(_width_guess(field.type) for field in schema)))
        self._learned = False

    @property
    def bytes_per_row(self) -> float:
        """Mean width of a row: a guess from the schema until the first batch came."""
        return self._bytes_per_row

    def observe(self, row_count: int, byte_count: int) -> None:
        """Learn from a batch; widths may drift along a table, so later batches count more."""
        if not row_count:
            return
        width = max(1.0, byte_count / row_count)
        self._bytes_per_row = (
            self._bytes_per_row + _SMOOTHING * (width - self._bytes_per_row) if self._learned else width
        )
        self._learned = True

    def rows_for(self, byte_count: int) -> int:
        """How many rows are about ``byte_count``; at least one."""
        return max(1, int(byte_count / self._bytes_per_row))

    def range_rows(self, remaining_rows: int, concurrency: int) -> int:
        """The length of the next row range when ``remaining_rows`` are not yet asked for."""
        share = max(-(-remaining_rows // concurrency), self.rows_for(SMALLEST_RANGE_BYTES))
        return min(remaining_rows, share, self.rows_for(self._range_bytes))


def _width_guess(arrow_type: pa.DataType) -> int:
    try:
        return max(1, int(arrow_type.bit_width) // 8)
    except ValueError:
        children: Iterable[pa.Field] = (arrow_type.field(i) for i in range(arrow_type.num_fields))
        return sum((_width_guess(child.type) for child in children), 0) or _VARIABLE_WIDTH_GUESS_BYTES
