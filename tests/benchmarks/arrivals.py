"""When rows came: from the moments of batches to the figures of a link."""

from __future__ import annotations

import time

import pyarrow as pa

from tests.benchmarks.repeated_rows import RowCheck

__all__ = ["Arrivals"]

_STEP_SECONDS = 0.25
_WINDOW_SECONDS = 1.0
_REACHED = 0.9


class Arrivals:
    """Takes the batches of one read, compares them with ``block``, and notes when they came.

    ``wire_bytes_per_byte``: how much more a row is on the wire than in memory. Seconds count from its making.
    """

    def __init__(self, block: pa.RecordBatch, wire_bytes_per_byte: float = 1.0) -> None:
        self.rows = RowCheck(block)
        self._factor = wire_bytes_per_byte
        self._began = time.perf_counter()
        self._moments: list[tuple[float, float]] = []

    def take(self, batch: pa.RecordBatch) -> None:
        """The next rows."""
        self._moments.append((time.perf_counter() - self._began, batch.nbytes * self._factor))
        self.rows.take(batch)

    @property
    def first_batch_seconds(self) -> float:
        """When the first rows came."""
        return self._moments[0][0]

    @property
    def seconds(self) -> float:
        """When the last rows came."""
        return self._moments[-1][0]

    def bytes_per_second(self, start: float, stop: float) -> float:
        """The mean rate between two moments."""
        return sum(size for moment, size in self._moments if start < moment <= stop) / (stop - start)

    def rates(self) -> list[tuple[float, float]]:
        """(second, MB/s) from the beginning to the end, each the mean of the second around it."""
        half = _WINDOW_SECONDS / 2
        moments = [number * _STEP_SECONDS for number in range(int(self.seconds / _STEP_SECONDS) + 1)]
        return [
            (moment, self.bytes_per_second(max(0.0, moment - half), min(self.seconds, moment + half)) / 1e6)
            for moment in moments
        ]

    def reached_seconds(self, bytes_per_second: float) -> float:
        """From when on, for a second, nine tenths of this rate came; infinity when that never was."""
        start = 0.0
        while start + _WINDOW_SECONDS <= self.seconds:
            if self.bytes_per_second(start, start + _WINDOW_SECONDS) >= _REACHED * bytes_per_second:
                return start
            start += _STEP_SECONDS / 5
        return float("inf")
