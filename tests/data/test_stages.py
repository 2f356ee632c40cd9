"""Chains of operations on blocks give what they give row by row, however the rows come."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("tensorflow", reason="datasets need TensorFlow")

from paiio.data._blocks import Block
from paiio.data._plan import Order, Plan
from paiio.data._stages import through_stages

from .test_selection import on_list
from .test_shuffling import row_by_row

SEED = 7

operation = st.one_of(
    st.tuples(st.just("skip"), st.integers(-1, 30)),
    st.tuples(st.just("take"), st.integers(-1, 60)),
    st.integers(1, 4).flatmap(lambda n: st.tuples(st.just("shard"), st.just(n), st.integers(0, n - 1))),
    st.tuples(st.just("repeat"), st.integers(0, 3)),
    st.tuples(st.just("shuffle"), st.integers(1, 30)),
    st.tuples(st.just("batch"), st.integers(1, 9), st.booleans()),
)


def applied(elements: list[Any], name: str, *arguments: int) -> list[Any]:
    """An operation, as tf.data has it, on the list of all elements."""
    if name == "repeat":
        return elements * arguments[0]
    if name == "shuffle":
        return [elements[at] for at in row_by_row(len(elements), arguments[0], SEED)]
    if name == "batch":
        rows, drop_remainder = arguments
        batches = [elements[at : at + rows] for at in range(0, len(elements), rows)]
        return [batch for batch in batches if not drop_remainder or len(batch) == rows]
    return on_list(elements, name, *arguments)


class SameOrder(Order):
    """Every pass has the order that :func:`row_by_row` has."""

    def next_seed(self) -> tuple[int, ...]:
        return (SEED,)


def planned(plan: Plan, name: str, *arguments: int) -> Plan | None:
    """An operation added to a plan; None when it does not take it."""
    if name == "shuffle":
        return plan.shuffle(arguments[0], SameOrder(None, True)) if plan.can_shuffle(arguments[0]) else None
    changed: Plan | None = getattr(plan, name)(*arguments)
    return changed


def elements_of(plan: Plan, lengths: list[int]) -> list[Any]:
    """What leaves the plan when rows come in batches of ``lengths``."""

    def source() -> Iterator[Block]:
        position = 0
        for length in lengths:
            rows = pa.record_batch([pa.array(range(position, position + length), pa.int64())], names=["n"])
            yield Block((rows,)).select(plan.selection.within(position, length))
            position += length

    elements: list[Any] = []
    for block in through_stages(source, plan.stages):
        rows = [row for piece in block.pieces for row in piece.column(0).to_pylist()]
        assert len(rows) == block.elements * block.rows_each
        cuts = range(0, len(rows), block.rows_each)
        elements += [rows[at : at + block.rows_each] for at in cuts] if plan.batch_stage else rows
    return elements


@settings(max_examples=400)
@given(st.lists(operation, max_size=6), st.lists(st.integers(0, 25), max_size=6))
def test_chains(chain: list[tuple[str, int]], lengths: list[int]) -> None:
    plan, expected = Plan(), list(range(sum(lengths)))
    for name, *arguments in chain:
        changed = planned(plan, name, *arguments)
        if changed is None:
            # Only what is better done on batches as they are.
            assert plan.batch_stage is not None
            continue
        plan, expected = changed, applied(expected, name, *arguments)
    assert elements_of(plan, lengths) == expected


def test_what_is_skipped_never_enters_the_stages() -> None:
    assert Plan().skip(5).take(10).shard(2, 1) == Plan(Plan().selection.skip(5).take(10).shard(2, 1))
    before = Plan().skip(12).take(20).batch(4, False)
    assert Plan().batch(4, False).skip(3).take(5) == before  # type: ignore[union-attr]


def test_repeating_for_ever() -> None:
    plan = Plan().repeat(None)
    assert plan.is_infinite
    assert plan.skip(3).batch(2, False).is_infinite  # type: ignore[union-attr]
    assert not plan.take(3).is_infinite
    assert not plan.repeat(0).is_infinite
    assert not Plan().repeat(2).is_infinite
    assert plan.most_passes == float("inf")
    assert Plan().repeat(2).repeat(3).most_passes == 6
    assert elements_of(plan.take(7), [2, 1]) == [0, 1, 2, 0, 1, 2, 0]
    assert elements_of(plan, []) == []
    assert elements_of(plan, [0, 0]) == []


@pytest.mark.parametrize("refused", [("batch", 0, False), ("shard", 0, 0), ("shard", 2, 2), ("shard", 2, -1)])
def test_nonsense_is_left_to_tensorflow(refused: tuple[str, int]) -> None:
    name, *arguments = refused
    assert getattr(Plan(), name)(*arguments) is None
    assert not Plan().can_shuffle(0)
