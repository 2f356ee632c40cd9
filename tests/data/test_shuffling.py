"""Shuffling many rows at a time is shuffling row by row."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("tensorflow", reason="datasets need TensorFlow")

from paiio.data import _shuffling
from paiio.data._shuffling import ShuffleBuffer


def shuffled(count: int, size: int, seed: int, cuts: list[int]) -> list[int]:
    """The numbers up to ``count`` through a buffer, in batches that end at ``cuts``."""
    buffer = ShuffleBuffer(size, [seed])
    left: list[int] = []

    def take(batch: pa.RecordBatch | None) -> None:
        if batch is not None:
            numbers, texts = (column.to_pylist() for column in batch.columns)
            assert texts == [None if number % 3 == 0 else str(number).encode() for number in numbers]
            left.extend(numbers)

    bounds = [0, *sorted(min(cut, count) for cut in cuts), count]
    for first, last in pairwise(bounds):
        numbers = list(range(first, last))
        texts = pa.array([None if number % 3 == 0 else str(number) for number in numbers], pa.string())
        take(buffer.add([pa.record_batch([pa.array(numbers, pa.int64()), texts], names=["n", "t"])]))
    for batch in buffer.drain():
        take(batch)
    return left


def row_by_row(count: int, size: int, seed: int) -> list[int]:
    """The same, as tf.data goes about it, with the same random numbers."""
    drawing, draining = np.random.SeedSequence([seed]).spawn(2)
    random = np.random.default_rng(drawing)

    def draw() -> Iterator[int]:
        while True:
            yield from random.integers(0, size, 8192).tolist()

    slots, held, left = draw(), list(range(min(size, count))), []
    for number in range(size, count):
        slot = next(slots)
        left.append(held[slot])
        held[slot] = number
    return left + [held[at] for at in np.random.default_rng(draining).permutation(len(held)).tolist()]


@settings(max_examples=60)
@given(
    st.integers(0, 300),
    st.integers(1, 80),
    st.integers(0, 5),
    st.lists(st.integers(0, 300), max_size=12),
    st.booleans(),
)
def test_row_by_row(count: int, size: int, seed: int, cuts: list[int], small_steps: bool) -> None:
    with pytest.MonkeyPatch.context() as patch:
        if small_steps:
            patch.setattr(_shuffling, "_LEAST_STEP_ROWS", 1)
            patch.setattr(_shuffling, "_DRAINED_BYTES", 100)
        got = shuffled(count, size, seed, cuts)
    assert got == row_by_row(count, size, seed)
    assert sorted(got) == list(range(count))
    # Nothing leaves before the buffer can have held it.
    assert all(number < place + size for place, number in enumerate(got))


def test_it_is_random() -> None:
    """Every row is as likely to be the first of a small buffer's as every other."""
    firsts = np.bincount([shuffled(20, 10, seed, [])[0] for seed in range(2000)], minlength=10)
    assert len(firsts) == 10
    assert firsts.min() > 120
    assert firsts.max() < 290
