"""``skip``, ``take`` and ``shard`` as arithmetic, against lists."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("tensorflow", reason="datasets need TensorFlow")

from paiio.data._selection import Selection

operations = st.lists(
    st.one_of(
        st.tuples(st.just("skip"), st.integers(-1, 20)),
        st.tuples(st.just("take"), st.integers(-1, 40)),
        st.integers(1, 4).flatmap(lambda n: st.tuples(st.just("shard"), st.just(n), st.integers(0, n - 1))),
    ),
    max_size=5,
)


def on_list(rows: list[int], name: str, *arguments: int) -> list[int]:
    """What tf.data would do."""
    first = arguments[0]
    if name == "skip":
        return [] if first < 0 else rows[first:]
    if name == "take":
        return rows if first < 0 else rows[:first]
    return rows[arguments[1] :: first]


@given(operations, st.lists(st.integers(0, 15), max_size=8))
def test_like_a_list(chain: list[tuple[str, int]], lengths: list[int]) -> None:
    rows, selection = list(range(sum(lengths))), Selection()
    expected = rows
    for name, *arguments in chain:
        expected = on_list(expected, name, *arguments)
        selection = getattr(selection, name)(*arguments)
    got, position = [], 0
    for length in lengths:
        if selection.ends_before(position):
            assert not any(row >= position for row in expected)
        within = selection.within(position, length)
        assert all(0 <= row < length for row in within)
        got += [position + row for row in within]
        position += length
    assert got == expected
