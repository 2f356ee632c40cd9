"""The stages of a plan at work on blocks: each is a generator over the blocks of the one before it.

A stage gives at least one block, if only an empty one, for each it takes. So a consumer that has gone is noticed soon,
however many rows a stage has to swallow first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TypeAlias

from paiio.data._blocks import Block
from paiio.data._plan import Batch, Repeat, Select, Shuffle, Stage
from paiio.data._shuffling import ShuffleBuffer

__all__ = ["Pass", "through_stages"]

Pass: TypeAlias = Callable[[], Iterator[Block]]
"""Begins a pass over some elements."""


def through_stages(source: Pass, stages: Sequence[Stage]) -> Iterator[Block]:
    """One pass over what leaves the last stage.

    Closing it closes the source.
    """
    begin = source
    for stage in stages:
        match stage:
            case Select():
                begin = partial(_select, begin, stage)
            case Repeat():
                begin = partial(_repeat, begin, stage)
            case Shuffle():
                begin = partial(_shuffle, begin, stage)
            case Batch():
                begin = partial(_batch, begin, stage)
    return begin()


def _select(begin: Pass, stage: Select) -> Iterator[Block]:
    position = 0
    if stage.selection.ends_before(0):
        return
    for block in begin():
        count = block.elements
        yield block.select(stage.selection.within(position, count))
        position += count
        if stage.selection.ends_before(position):
            return


def _repeat(begin: Pass, stage: Repeat) -> Iterator[Block]:
    done = 0
    while stage.count is None or done < stage.count:
        empty = True
        for block in begin():
            empty = empty and not block.rows
            yield block
        done += 1
        if empty and done == 1:
            # Nothing, however often.
            return
        if empty:
            yield Block()


def _shuffle(begin: Pass, stage: Shuffle) -> Iterator[Block]:
    buffer = ShuffleBuffer(stage.buffer_rows, stage.order.next_seed())
    for block in begin():
        left = buffer.add(block.pieces)
        yield Block() if left is None else Block((left,))
    for left in buffer.drain():
        yield Block((left,))


def _batch(begin: Pass, stage: Batch) -> Iterator[Block]:
    waiting = Block()
    for block in begin():
        waiting = Block((*waiting.pieces, *block.pieces))
        whole = waiting.rows // stage.rows * stage.rows
        yield Block(waiting.select(range(whole)).pieces, stage.rows)
        waiting = waiting.select(range(whole, waiting.rows))
    if waiting.rows and not stage.drop_remainder:
        yield Block(waiting.pieces, waiting.rows)
