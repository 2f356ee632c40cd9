"""The rows that are read and written: made from formulas, the same in every run."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa

__all__ = ["column_types", "mixed_columns", "mixed_rows", "python_rows", "text_rows", "wide_rows"]

_TYPES = {pa.int64(): "bigint", pa.float64(): "double", pa.bool_(): "boolean", pa.string(): "string"}
_CITIES = ["Amsterdam", "Beijing", "Cairo", "Hangzhou", "Reykjavík", "São Paulo", None, "Zürich"]


@lru_cache(maxsize=2)
def mixed_rows(count: int) -> pa.RecordBatch:
    """``count`` rows of 10 columns, about 100 bytes a row: numbers, two texts (one with NULLs) and a flag."""
    number = np.arange(count)
    hashed = (number * 2654435761) & 0x7FFFFFFF
    return pa.record_batch(
        {
            "id": number,
            "user_id": hashed,
            "item_id": (hashed * 7) >> 3,
            "category": hashed % 97,
            "price": hashed / 100.0,
            "score": np.sin(number * 0.001),
            "weight": 1.0 / (1 + number),
            "clicked": hashed % 3 == 0,
            "session": pa.array([f"session-{value:08x}" for value in hashed.tolist()]),
            "city": pa.array(_CITIES).take(pa.array(number % len(_CITIES))),
        }
    )


@lru_cache(maxsize=1)
def wide_rows(columns: int, count: int) -> pa.RecordBatch:
    """``count`` rows of 64-bit columns, BIGINT and DOUBLE in turn, without NULL: features of a model."""
    number = np.arange(count)
    made: list[Any] = [number]
    for column in range(1, columns):
        made.append(number * column if column % 2 == 0 else number * (0.5 + column))
    return pa.record_batch(made, names=["id", *(f"f{column}" for column in range(1, columns))])


def mixed_columns(columns: int, count: int) -> pa.RecordBatch:
    """:func:`mixed_rows`, its columns again and again, under names of their own."""
    rows = mixed_rows(count)
    names = [f"{rows.schema.names[at % rows.num_columns]}_{at}" for at in range(columns)]
    return pa.RecordBatch.from_arrays([rows.column(at % rows.num_columns) for at in range(columns)], names=names)


def text_rows(width: int, count: int) -> pa.RecordBatch:
    """``count`` rows of a number and a text of ``width`` bytes."""
    letters = np.arange(width * count, dtype=np.uint32)
    letters = (ord("a") + (letters * np.uint32(2654435761) >> np.uint32(24)) % 26).astype(np.uint8)
    offsets = np.arange(0, width * count + 1, width, dtype=np.int32)
    texts = pa.StringArray.from_buffers(count, pa.py_buffer(offsets), pa.py_buffer(letters))
    return pa.record_batch({"id": np.arange(count), "text": texts})


def column_types(schema: pa.Schema) -> list[tuple[str, str]]:
    """Name and MaxCompute type of each column."""
    return [(field.name, _TYPES[field.type]) for field in schema]


def python_rows(batch: pa.RecordBatch) -> list[tuple[Any, ...]]:
    """The rows of a batch as tuples."""
    return list(zip(*[column.to_pylist() for column in batch.columns], strict=True))
