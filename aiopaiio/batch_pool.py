"""Where the memory of large batches comes from."""

from __future__ import annotations

import pyarrow as pa

__all__ = ["BATCH_POOL"]

BATCH_POOL = pa.jemalloc_memory_pool() if "jemalloc" in pa.supported_memory_backends() else pa.default_memory_pool()
"""Of batches that come and go by the megabyte mimalloc, Arrow's default, keeps 50 MB and more after they were freed,
and the system's allocator twice the peak; jemalloc keeps little.

No large pages are asked for: they take half the time where the machine has them ready, and several times as long where
a virtual machine's host must find them first."""
