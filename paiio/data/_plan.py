"""What ``batch``, ``shuffle``, ``repeat``, ``take``, ``skip`` and ``shard`` were applied to a dataset, as a value.

A plan is a selection of the tables' rows, and stages that follow it. Up to a :class:`Batch` the elements are rows, from
there on batches. The methods that add an operation give None for one that is better left to TensorFlow.
"""

from __future__ import annotations

import itertools
import secrets
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from paiio.data._selection import Selection

__all__ = ["Batch", "Order", "Plan", "Repeat", "Select", "Shuffle", "Stage"]


class Order:
    """The orders of one ``shuffle``: a seed for each pass over it.

    With ``reshuffle`` every pass has another one, else all have the same. Without ``seed`` they are random.
    """

    def __init__(self, seed: tuple[int, ...] | None, reshuffle: bool) -> None:
        self._seed = seed or (secrets.randbits(128),)
        self._passes = itertools.count() if reshuffle else itertools.repeat(0)

    def next_seed(self) -> tuple[int, ...]:
        """The seed of the pass that begins."""
        return (*self._seed, next(self._passes))


@dataclass(frozen=True, slots=True)
class Select:
    """Only some of the elements."""

    selection: Selection


@dataclass(frozen=True, slots=True)
class Shuffle:
    """The rows in random order, ``buffer_rows`` of them considered at a time."""

    buffer_rows: int
    order: Order


@dataclass(frozen=True, slots=True)
class Repeat:
    """Everything before it ``count`` times; None: for ever."""

    count: int | None


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows to batches of ``rows``; the last may be smaller, unless that one is dropped."""

    rows: int
    drop_remainder: bool


Stage: TypeAlias = Select | Shuffle | Repeat | Batch


@dataclass(frozen=True, slots=True)
class Plan:
    """The rows of ``selection`` through ``stages``, first to last."""

    selection: Selection = field(default_factory=Selection)
    stages: tuple[Stage, ...] = ()

    @property
    def batch_stage(self) -> Batch | None:
        """What makes batches of the rows, if anything does."""
        return next((stage for stage in self.stages if isinstance(stage, Batch)), None)

    @property
    def is_infinite(self) -> bool:
        """Whether it never ends, unless there is no row at all."""
        infinite = False
        for stage in self.stages:
            if isinstance(stage, Repeat):
                infinite = (infinite or stage.count is None) and stage.count != 0
            elif isinstance(stage, Select):
                infinite = infinite and stage.selection.stop is None
        return infinite

    @property
    def most_passes(self) -> float:
        """How often the tables are read at most."""
        passes = 1.0
        for stage in self.stages:
            if isinstance(stage, Repeat):
                passes *= float("inf") if stage.count is None and passes else stage.count or 0
        return passes

    def skip(self, count: int) -> Plan:
        """Without the first elements."""
        return self._select(Selection().skip(count)) if count < 0 else self._narrow("skip", count)

    def take(self, count: int) -> Plan:
        """Only the first elements."""
        return self if count < 0 else self._narrow("take", count)

    def shard(self, count: int, index: int) -> Plan | None:
        """Every ``count``-th element; out of range is for TensorFlow to refuse."""
        if not 0 <= index < count:
            return None
        if self.stages and isinstance(self.stages[-1], Select):
            return self._select(self.stages[-1].selection.shard(count, index), of=self._without_last())
        if not self.stages:
            return replace(self, selection=self.selection.shard(count, index))
        return self._select(Selection().shard(count, index))

    def repeat(self, count: int | None) -> Plan:
        """Again and again; None and negative counts: for ever."""
        return self._then(Repeat(None if count is None or count < 0 else count))

    def shuffle(self, buffer_rows: int, order: Order) -> Plan:
        """Rows in random order."""
        return self._then(Shuffle(buffer_rows, order))

    def can_shuffle(self, buffer_rows: int) -> bool:
        """Whole batches are few, so those are left to TensorFlow, as is the refusal of an impossible size."""
        return buffer_rows >= 1 and self.batch_stage is None

    def batch(self, rows: int, drop_remainder: bool) -> Plan | None:
        """Rows to batches; batches of batches are left to TensorFlow."""
        if rows < 1 or self.batch_stage:
            return None
        return self._then(Batch(rows, drop_remainder))

    def _narrow(self, operation: str, count: int) -> Plan:
        last = self.stages[-1] if self.stages else None
        if last is None:
            return replace(self, selection=getattr(self.selection, operation)(count))
        if isinstance(last, Select):
            return self._select(getattr(last.selection, operation)(count), of=self._without_last())
        if isinstance(last, Batch):
            # So many batches are so many rows, and rows can be left out before they are read.
            return self._without_last()._narrow(operation, count * last.rows)._then(last)
        return self._select(getattr(Selection(), operation)(count))

    def _select(self, selection: Selection, of: Plan | None = None) -> Plan:
        return (of or self)._then(Select(selection))

    def _then(self, stage: Stage) -> Plan:
        return replace(self, stages=(*self.stages, stage))

    def _without_last(self) -> Plan:
        return replace(self, stages=self.stages[:-1])
