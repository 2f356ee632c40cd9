"""Cutting and joining of batches; run lengths."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from aiopaiio.local.storage.batch_cuts import BatchJoiner
from aiopaiio.local.storage.run_lengths import batch_ends, pack_run_lengths


def joined(joiner: BatchJoiner, batches: list[pa.RecordBatch]) -> list[pa.RecordBatch]:
    return [out for batch in batches for out in joiner.push(batch)] + list(joiner.flush())


def numbered(sizes: list[int]) -> list[pa.RecordBatch]:
    first, batches = 0, []
    for size in sizes:
        batches.append(pa.record_batch([pa.array(range(first, first + size), pa.int64())], names=["a"]))
        first += size
    return batches


@given(st.lists(st.integers(0, 50), max_size=20), st.integers(1, 20), st.integers(1, 400))
def test_rows_keep_their_order_and_batches_their_caps(sizes: list[int], max_rows: int, max_bytes: int) -> None:
    out = joined(BatchJoiner(max_rows, max_bytes), numbered(sizes))
    assert [i for batch in out for i in batch.column(0).to_pylist()] == list(range(sum(sizes)))
    for batch in out:
        assert 0 < batch.num_rows <= max_rows
        assert batch.nbytes <= max_bytes or batch.num_rows == 1


def test_batches_stay_far_below_what_allocators_take_for_huge() -> None:
    wide = pa.record_batch([pa.array(np.arange(10_000.0))] * 300, names=[f"f{number}" for number in range(300)])
    out = joined(BatchJoiner(), [wide])
    assert sum(batch.num_rows for batch in out) == 10_000
    assert all(batch.nbytes <= 4 << 20 for batch in out)


def test_small_batches_are_joined() -> None:
    out = joined(BatchJoiner(100, 1 << 20), numbered([1] * 250))
    assert [batch.num_rows for batch in out] == [100, 100, 50]


def test_rows_of_very_different_size_are_cut_by_bytes() -> None:
    values = pa.array(["x"] * 100 + ["y" * 1000] * 3 + ["z"] * 100)
    out = joined(BatchJoiner(4096, 1500), [pa.record_batch([values], names=["a"])])
    assert all(batch.nbytes <= 1500 for batch in out)
    assert [s for batch in out for s in batch.column(0).to_pylist()] == values.to_pylist()


def test_large_batches_are_cut_without_a_copy() -> None:
    (batch,) = numbered([10_000])
    before = pa.total_allocated_bytes()
    out = joined(BatchJoiner(4096), [batch])
    assert [piece.num_rows for piece in out] == [4096, 4096, 1808]
    assert pa.total_allocated_bytes() == before


@given(st.lists(st.integers(1, 2**32 - 1), max_size=50))
def test_run_lengths_give_the_ends_of_batches(counts: list[int]) -> None:
    assert batch_ends(pack_run_lengths(counts)).tolist() == np.cumsum(counts, dtype=np.int64).tolist()


def test_equal_batches_take_eight_bytes_however_many() -> None:
    assert len(pack_run_lengths([4096] * 100_000 + [7])) == 16
