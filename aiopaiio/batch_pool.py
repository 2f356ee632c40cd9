"""Where the memory of large batches comes from."""

from __future__ import annotations

import ctypes
import mmap
from typing import Any

import pyarrow as pa

__all__ = ["BATCH_POOL", "allocate"]

BATCH_POOL = pa.jemalloc_memory_pool() if "jemalloc" in pa.supported_memory_backends() else pa.default_memory_pool()
"""Of batches that come and go by the megabyte mimalloc, Arrow's default, keeps 50 MB and more after they were freed,
and the system's allocator twice the peak; jemalloc keeps little."""

_LARGE_BYTES = 1 << 20
_LARGE_PAGE_BYTES = 2 << 20


def allocate(byte_count: int) -> pa.Buffer:
    """Memory for the bytes of a batch.

    Of much of it the system is told to make its pages large ones, where it has them (Linux): to make 4 KiB after 4 KiB
    takes longer than to fill them.
    """
    buffer = pa.allocate_buffer(byte_count, BATCH_POOL)
    if _advise is not None and byte_count >= _LARGE_BYTES:
        # All that it touches, since neighbours share a page. It is advice: where it is of no use, nothing changes.
        start = buffer.address & -_LARGE_PAGE_BYTES
        stop = -(-(buffer.address + byte_count) & -_LARGE_PAGE_BYTES)
        _advise(start, stop - start, mmap.MADV_HUGEPAGE)
    return buffer


def _system_advice() -> Any:
    if not hasattr(mmap, "MADV_HUGEPAGE"):
        return None
    advise = ctypes.CDLL(None).madvise
    advise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    return advise


_advise = _system_advice()
