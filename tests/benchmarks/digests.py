"""Checksums of Arrow rows that do not depend on where batches begin and end."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pyarrow as pa
from crc32c import crc32c

from tests.benchmarks.measuring import WrongRows

__all__ = ["digest_of", "require_equal"]

Digest = tuple[Any, ...]


def digest_of(batches: Iterable[pa.RecordBatch]) -> Digest:
    """Number of rows, and for each column a CRC32C of its values, of its texts and of where its NULLs are."""
    rows = 0
    checksums: dict[str, int] = {}
    for batch in batches:
        for number, column in enumerate(batch.columns):
            for name, content in _parts(column, rows):
                key = f"{number} {column.type} {name}"
                checksums[key] = crc32c(content, checksums.get(key, 0))
        rows += batch.num_rows
    return (rows, *sorted(checksums.items()))


def require_equal(got: object, expected: object) -> None:
    """Raise :class:`WrongRows` unless the digests agree."""
    if got != expected:
        raise WrongRows(f"the rows are not those of the table: {got} instead of {expected}")


def _parts(column: pa.Array, first_row: int) -> Iterable[tuple[str, Any]]:
    if column.null_count:
        yield "nulls", np.flatnonzero(column.is_null().to_numpy(zero_copy_only=False)) + first_row
    if pa.types.is_string(column.type):
        _, offsets, text = column.buffers()
        bounds = np.frombuffer(offsets, "<i4", len(column) + 1, 4 * column.offset)
        yield "lengths", np.diff(bounds)
        yield "text", memoryview(text or b"")[bounds[0] : bounds[-1]]
    elif pa.types.is_boolean(column.type):
        yield "values", column.to_numpy(zero_copy_only=False).view(np.uint8)
    else:
        width = column.type.bit_width // 8
        yield "values", np.frombuffer(column.buffers()[1], np.uint8, width * len(column), width * column.offset)
