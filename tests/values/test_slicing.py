"""Slices cover a range exactly, in order, and differ by one row at most."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiopaiio.errors import SliceError
from aiopaiio.slicing import RowRange, slice_rows


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(1, 50))
def test_slices_cover_the_range(start: int, length: int, count: int) -> None:
    rows = RowRange(start, start + length)
    slices = [slice_rows(rows, i, count) for i in range(count)]
    assert slices[0].start == rows.start
    assert slices[-1].stop == rows.stop
    assert all(a.stop == b.start for a, b in itertools.pairwise(slices))
    assert [len(s) for s in slices] == [length // count + (i < length % count) for i in range(count)]


@pytest.mark.parametrize(("slice_id", "slice_count"), [(-1, 2), (2, 2), (0, 0), (0, -1)])
def test_refuses_a_slice_outside(slice_id: int, slice_count: int) -> None:
    with pytest.raises(SliceError, match="slice"):
        slice_rows(RowRange(0, 10), slice_id, slice_count)


@pytest.mark.parametrize(("start", "stop"), [(-1, 2), (3, 2)])
def test_refuses_a_malformed_range(start: int, stop: int) -> None:
    with pytest.raises(SliceError, match="start"):
        RowRange(start, stop)


def test_text_and_shift() -> None:
    assert str(RowRange(2, 5)) == "[2, 5)"
    assert RowRange(2, 5).shift(-2) == RowRange(0, 3)
