"""How many downloads run at once: found by trying, from what arrives and whether anybody waits for it. No clock.

One stream of the Tunnel gives about 10 MB/s, a link may give a hundred times that, and what either gives is not known
before it is measured. So the number of streams is multiplied while that brings more, as TCP opens its window; then
what did help is kept, and tried again from time to time.
"""

from __future__ import annotations

import math

__all__ = ["MOST_STREAMS", "StreamCount"]

MOST_STREAMS = 64
"""The service lets a project have 300 transfers at once by default; one read shall not take them all."""

_FIRST_STREAMS = 2
"""Enough where one stream already takes all that a processor can do; more would get in each other's way."""

_FIRST_GROWTH = 4
_GROWTH = 2
_PERIOD_SECONDS = 0.2
"""Long enough that a few streams deliver many pieces each, short enough to fill a link of 16 streams in a second."""

_FIRST_LOOK_SECONDS = 0.05
"""When so much of streams was seen there is a first, rough rate, to plan ranges by; it is refined as more comes."""

_ENOUGH_BYTES_PER_SECOND = 400e6
"""At this rate decoding, not the network, is what takes the time, and more streams get in each other's way."""

_PROMISING_BYTES = 1 << 15
_PROMISING_BYTES_PER_SECOND = 100e6
"""When this much came at this rate, ten times that of the Tunnel, one stream may be enough; it is soon known."""

_STARVED_SHARE = 0.1
"""Who waits less than this of its time is limited by itself, and more streams would only fill the memory."""

_USED_SHARE = 0.8
"""Below this share of the added streams in use, a period says nothing about them: something else held them up."""

_LINEAR_SHARE = 0.8
"""More streams bring at least this share of what their number promises as long as they, not the link, are the limit."""

_LEAST_GAIN = 1.1
_SPARE = 1.25
"""Streams beyond those that the rates ask for: each stands still for a round trip between two ranges."""

_FIRST_HOLD_SECONDS = 5.0
_LONGEST_HOLD_SECONDS = 60.0


class StreamCount:
    """The number of ``streams`` to run at once; ``fixed`` 0 lets it find the number, from 1 to 64, by itself.

    There are never more than ``most``, which may change. Times are seconds of any one clock.
    """

    def __init__(self, fixed: int = 0, most: int = MOST_STREAMS) -> None:
        self._adapts = not fixed
        self._wanted = min(fixed or _FIRST_STREAMS, MOST_STREAMS)
        self.most = most
        self._under_way = 0
        self._flowing = 0
        self._counted_at = 0.0
        self._stream_bytes_per_second: float | None = None
        self._stream_is_fast = False
        self._period_began: float | None = None
        self._first_period = True
        self._period_seconds = _PERIOD_SECONDS
        self._period_bytes = 0
        self._period_pieces = 0
        self._period_under_way = 0
        self._period_flow_seconds = 0.0
        self._period_waited = 0.0
        self._settling = False
        self._growth = _FIRST_GROWTH
        self._before_growth: tuple[int, float] | None = None
        self._hold_until = float("-inf")
        self._hold_seconds = _FIRST_HOLD_SECONDS

    def __repr__(self) -> str:
        kind = "adapting" if self._adapts else "fixed"
        return f"<StreamCount {self.streams}, {kind}, {self._stream_bytes_per_second or 0:.0f} bytes/s each>"

    @property
    def streams(self) -> int:
        """How many to run now."""
        return min(self._wanted, self.most)

    @property
    def stream_bytes_per_second(self) -> float | None:
        """What one stream gives from the beginning of its answer to the end; None until it was measured.

        Without the wait for the answer: ranges would be short because they are short, where the service is far away.
        """
        return self._stream_bytes_per_second

    @property
    def one_is_enough(self) -> bool:
        """Whether one stream brings all that can be decoded, so that no other need be asked for beside it.

        It may turn false again. Of a fixed number all are wanted.
        """
        return self._stream_is_fast and self.streams <= (_FIRST_STREAMS if self._adapts else 1)

    def asked(self) -> None:
        """A stream was asked for; :meth:`ended` must follow, whatever comes of it."""
        self._under_way += 1

    def began(self, seconds: float, now: float) -> None:
        """A stream began, ``seconds`` after it was asked for; :meth:`stopped` must follow.

        Streams that are added show after about twice that.
        """
        self._period_seconds = max(_PERIOD_SECONDS, 2 * seconds)
        self._count_flow(now)
        self._flowing += 1

    def stopped(self, now: float) -> None:
        """A stream that began brings no more."""
        self._count_flow(now)
        self._flowing -= 1

    def ended(self) -> None:
        """A stream that was asked for has ended, or will not begin."""
        self._under_way -= 1

    def waited(self, seconds: float) -> None:
        """The consumer stood still for so long, waiting for rows."""
        self._period_waited += seconds

    def received(self, byte_count: int, now: float) -> None:
        """Bytes came, at ``now``, on whatever stream."""
        if self._period_began is None:
            self._period_began = now
        self._period_bytes += byte_count
        self._period_pieces += 1
        self._period_under_way += self._under_way
        seconds = now - self._period_began
        self._count_flow(now)
        stream_rate = self._period_bytes / self._period_flow_seconds if self._period_flow_seconds else None
        if seconds < self._period_seconds:
            if self._first_period and stream_rate is not None:
                self._look(stream_rate)
            return
        self._first_period = False
        rate = self._period_bytes / seconds
        starved = self._period_waited >= _STARVED_SHARE * seconds
        mean_under_way = self._period_under_way / self._period_pieces
        self._period_began, self._period_waited, self._period_flow_seconds = now, 0.0, 0.0
        self._period_bytes = self._period_pieces = self._period_under_way = 0
        if starved and stream_rate is not None:
            self._learn(stream_rate)
        if self._settling and mean_under_way < _USED_SHARE * self.streams:
            return
        if self._settling:
            # Those that were added had not all begun.
            self._settling = False
            return
        if self._adapts:
            self._adapt(rate, starved, now)

    def refused(self, now: float) -> None:
        """The service has no slot for one more stream than are under way; the refused one has ended."""
        if not self._adapts:
            return
        self._wanted = max(1, min(self.streams, self._under_way))
        self._before_growth = None
        # Whoever is refused stands still for as long as the service says, so this is not tried again soon.
        self._hold_seconds = _LONGEST_HOLD_SECONDS
        self._hold(now)

    def _look(self, stream_rate: float) -> None:
        """A rate from less than a period."""
        if self._period_flow_seconds >= _FIRST_LOOK_SECONDS:
            self._learn(stream_rate)
        elif self._period_bytes >= _PROMISING_BYTES:
            self._stream_is_fast = stream_rate >= _PROMISING_BYTES_PER_SECOND

    def _learn(self, stream_rate: float) -> None:
        self._stream_bytes_per_second = stream_rate
        self._stream_is_fast = stream_rate >= _ENOUGH_BYTES_PER_SECOND

    def _adapt(self, rate: float, starved: bool, now: float) -> None:
        if self._before_growth is not None:
            streams, rate_before = self._before_growth
            self._before_growth = None
            gain = rate / max(rate_before, 1.0)
            if gain < _LINEAR_SHARE * self.streams / streams:
                needed = math.ceil(_SPARE * gain * streams) if gain >= _LEAST_GAIN else streams
                self._wanted = min(self.streams, needed)
                self._hold(now)
                return
        has_enough = rate >= _ENOUGH_BYTES_PER_SECOND or not starved
        if not has_enough and now >= self._hold_until and self.streams < self.most:
            self._before_growth = (self.streams, rate)
            self._wanted = min(self._growth * self.streams, MOST_STREAMS)
            self._growth = _GROWTH
            self._settling = True

    def _count_flow(self, now: float) -> None:
        self._period_flow_seconds += self._flowing * (now - self._counted_at)
        self._counted_at = now

    def _hold(self, now: float) -> None:
        self._hold_until = now + self._hold_seconds
        self._hold_seconds = min(2 * self._hold_seconds, _LONGEST_HOLD_SECONDS)
