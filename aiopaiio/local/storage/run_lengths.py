"""The row counts of a file's record batches, packed: they are mostly equal, and a big file has many. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import numpy as np
import numpy.typing as npt

__all__ = ["batch_ends", "pack_run_lengths"]


def pack_run_lengths(counts: Sequence[int]) -> bytes:
    """Counts as (count, repetitions) pairs of little-endian uint32."""
    pairs = [(count, len(list(run))) for count, run in groupby(counts)]
    return np.array(pairs, "<u4").tobytes()


def batch_ends(packed: bytes) -> npt.NDArray[np.int64]:
    """For every batch, the number of rows up to its end."""
    pairs = np.frombuffer(packed, "<u4").reshape(-1, 2).astype(np.int64)
    return np.cumsum(np.repeat(pairs[:, 0], pairs[:, 1]))
