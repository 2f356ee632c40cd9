"""Every how-many-th of which elements: ``skip``, ``take`` and ``shard`` as arithmetic. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace

__all__ = ["Selection"]


@dataclass(frozen=True, slots=True)
class Selection:
    """The elements ``start, start + step, ...`` below ``stop`` (None: without end) of any sequence."""

    start: int = 0
    stop: int | None = None
    step: int = 1

    def skip(self, count: int) -> Selection:
        """Without the first ``count``; a negative count leaves nothing, as with tf.data."""
        if count < 0:
            return replace(self, stop=self.start)
        return replace(self, start=self.start + count * self.step)

    def take(self, count: int) -> Selection:
        """The first ``count`` only; a negative count takes all, as with tf.data."""
        if count < 0:
            return self
        stop = self.start + count * self.step
        return replace(self, stop=stop if self.stop is None else min(self.stop, stop))

    def shard(self, count: int, index: int) -> Selection:
        """Every ``count``-th, beginning with number ``index``."""
        return replace(self, start=self.start + index * self.step, step=self.step * count)

    def ends_before(self, position: int) -> bool:
        """Whether nothing at ``position`` or later is selected."""
        return self.stop is not None and max(position, self.start) >= self.stop

    def within(self, first: int, count: int) -> range:
        """Which of the elements ``first`` to ``first + count`` are selected, counted from ``first``."""
        begin = self.start
        if begin < first:
            begin += -(-(first - begin) // self.step) * self.step
        stop = first + count if self.stop is None else min(first + count, self.stop)
        return range(min(begin - first, count), max(0, stop - first), self.step)
