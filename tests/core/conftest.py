"""Rows that tests of the core write and read."""

from __future__ import annotations

import pyarrow as pa


def numbered(count: int, width: int = 10) -> pa.Table:
    """``count`` rows: a number, half of it, and a text of ``width`` that is NULL in every fifth row."""
    return pa.table(
        {
            "id": pa.array(range(count), pa.int64()),
            "half": pa.array([i / 2 for i in range(count)], pa.float64()),
            "text": pa.array([None if i % 5 == 0 else f"{i:0{width}}" for i in range(count)], pa.string()),
        }
    )


NUMBERED = "id bigint, half double, text string"
