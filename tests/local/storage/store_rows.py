"""Rows to store, and the way the tests say that the store must refuse."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence

import pyarrow as pa
import pytest

from aiopaiio.local.storage import StoreError


def rows_of(ids: Sequence[int]) -> pa.RecordBatch:
    """(id, name) with ``name`` following from ``id``."""
    return pa.record_batch(
        [pa.array(ids, pa.int64()), pa.array([f"row {i}" for i in ids], pa.string())], names=["id", "name"]
    )


def refuses(code: str, what: str = "") -> pytest.RaisesExc[StoreError]:
    """Expect a StoreError with this code whose message has ``what`` (a pattern) in it."""
    return pytest.raises(StoreError, match=rf"^{re.escape(code)}:(?s:.*){what}")


def child_environment() -> dict[str, str]:
    """For a child interpreter that is to import what this one does."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
