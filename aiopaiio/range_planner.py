"""How many rows to ask for at once: pure arithmetic on what has been seen of the rows so far."""

from __future__ import annotations

from collections.abc import Iterable

import pyarrow as pa

__all__ = ["RangePlanner"]

FIRST_RANGE_BYTES = 128 << 10
"""At 10 MB/s this takes 13 ms, so that the first rows come at once."""

SMALLEST_RANGE_BYTES = 1 << 20
"""Below this a request costs more than its bytes."""

LARGEST_RANGE_BYTES = 16 << 20

LONGEST_RANGE_BYTES = 256 << 20
"""Where one stream is enough; a request is then little of the whole, and no connection lasts for hours."""

RECORD_COLUMN_BYTES = 8 << 10
"""What a range of records has of each column at least, the first one half of it: to encode and decode records costs
time for each column, however few they are."""

CONNECTION_BYTES = 3 << 19
"""What a connection holds besides rows, at most: aiohttp's read buffer, and as much again that was taken from it."""

_LEAST_BATCH_BYTES = 1 << 19
_RANGE_SECONDS = 0.8
"""Long against a round trip, in which a stream stands still; short against the patience of whoever reads in order."""

_LAST_RANGES_SECONDS = 0.25
_VARIABLE_WIDTH_GUESS_BYTES = 64
_SMOOTHING = 0.25
_MARGIN = 1.25
"""Rows of one range may be wider than the mean."""


class RangePlanner:
    """Row counts for row ranges of fitting size, learned from the batches that came.

    ``memory_limit_bytes`` is for the whole read. Half of it, ``window_bytes``, is for rows that came and wait in order;
    the other half for what is under way in connections, decoders and hands: it has room for :attr:`most_streams`.
    """

    def __init__(self, schema: pa.Schema, memory_limit_bytes: int, *, records: bool = False) -> None:
        self.window_bytes = max(1, memory_limit_bytes // 2)
        self._record_bytes = RECORD_COLUMN_BYTES * len(schema)
        self.records = records
        """Whether rows come in the record form, not in Arrow's."""
        widths = [_fixed_width(field.type) for field in schema]
        guesses = (width or _guess(field.type) for width, field in zip(widths, schema, strict=True))
        self._bytes_per_row = max(1.0, float(sum(guesses)))
        self._learned = False
        self.knows_widths = all(widths)
        """Whether widths are known: from the types when all are fixed, else from a first batch."""

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
        self._learned = self.knows_widths = True

    def rows_for(self, byte_count: float) -> int:
        """How many rows are about ``byte_count``; at least one."""
        return max(1, int(byte_count / self._bytes_per_row))

    def reserve_bytes(self, row_count: int) -> int:
        """The memory to set aside for a range of so many rows."""
        return int(row_count * self._bytes_per_row * _MARGIN) + 1

    def long_range_rows(self, remaining_rows: int) -> int:
        """The length of the next row range for a stream that is enough by itself, to be cut when it no longer is."""
        return min(remaining_rows, self.rows_for(LONGEST_RANGE_BYTES))

    def reserve_bytes_of_long(self, row_count: int) -> int:
        """The memory to set aside for such a range: when it is full, the stream waits until rows are taken."""
        return min(self.reserve_bytes(row_count), max(1, self.window_bytes // 2))

    @property
    def most_streams(self) -> int:
        """How many streams there is memory for: fewer when rows are so wide that one of them takes much of it."""
        batch_bytes = max(min(_LEAST_BATCH_BYTES, self.window_bytes // 16), int(self._bytes_per_row * _MARGIN))
        return max(1, self.window_bytes // (self._connection_bytes + batch_bytes))

    def batch_bytes(self, streams: int) -> int:
        """The largest batch that each of ``streams`` streams may take in."""
        return max(1, self.window_bytes // min(streams, self.most_streams) - self._connection_bytes)

    @property
    def _connection_bytes(self) -> int:
        # Where memory is very little, connections are few and come on top.
        return min(CONNECTION_BYTES, self.window_bytes // 8)

    @property
    def _worth_bytes(self) -> int:
        """Fewer bytes are not worth a request."""
        return max(SMALLEST_RANGE_BYTES, self._record_bytes if self.records else 0)

    @property
    def _small_bytes(self) -> float:
        """A few ranges of this size always fit, however little memory there is."""
        return min(self._worth_bytes, self.window_bytes / (4 * _MARGIN))

    def first_rows(self, remaining_rows: int) -> int:
        """The length of the range that a read begins with: short, or all there is when that is little more."""
        least_bytes = max(FIRST_RANGE_BYTES, self._record_bytes // 2 if self.records else 0)
        rows = self.rows_for(min(least_bytes, self._small_bytes))
        return remaining_rows if remaining_rows <= 2 * rows else rows

    def range_rows(
        self,
        remaining_rows: int,
        *,
        number: int,
        streams: int,
        idle_streams: int = 1,
        stream_bytes_per_second: float | None = None,
    ) -> int:
        """The length of the next row range when ``remaining_rows`` are not yet asked for.

        It is the one with this ``number`` since the read began (the first rows are number 0), for one of ``streams``
        streams of which ``idle_streams`` wait for a range.
        """
        # Behind each range under way another half one may wait to be taken, so that none stands still.
        in_window = _MARGIN * (1.5 * streams + 1)
        if self.records and streams == 1:
            # Rows flow while the range is under way, and each range less saves the wait for its first ones.
            most_rows = self.rows_for(max(self._small_bytes, self.window_bytes / in_window))
            return min(remaining_rows, most_rows)
        # The first ones end one after the other, so that rows flow before the first large ones are complete.
        most_bytes = min(
            LARGEST_RANGE_BYTES, self._worth_bytes << min(2 * (number - 1), 8), self.window_bytes / in_window
        )
        least_bytes = self._small_bytes
        if stream_bytes_per_second is None:
            share = -(-remaining_rows // idle_streams)
        else:
            most_bytes = min(most_bytes, _RANGE_SECONDS * stream_bytes_per_second)
            # Towards the end all streams share the rest, so that they end together.
            share = -(-remaining_rows // streams)
            least_bytes = max(least_bytes, _LAST_RANGES_SECONDS * stream_bytes_per_second)
        most_rows = self.rows_for(max(most_bytes, self._small_bytes))
        return min(remaining_rows, most_rows, max(share, self.rows_for(least_bytes)))


def _fixed_width(arrow_type: pa.DataType) -> int | None:
    try:
        return max(1, int(arrow_type.bit_width) // 8)
    except ValueError:
        return None


def _guess(arrow_type: pa.DataType) -> int:
    children: Iterable[pa.Field] = (arrow_type.field(i) for i in range(arrow_type.num_fields))
    return sum((_fixed_width(child.type) or _guess(child.type) for child in children), 0) or _VARIABLE_WIDTH_GUESS_BYTES
