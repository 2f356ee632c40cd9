"""The number of streams follows a simulated link: as many as help, few more."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

from aiopaiio.stream_count import MOST_STREAMS, StreamCount

STEP_SECONDS = 0.01


@dataclass
class Reading:
    """A read over a link, in steps of simulated time; ``rate`` gives bytes a second for so many streams."""

    rate: Callable[[int], float]
    count: StreamCount = field(default_factory=StreamCount)
    consumer_bytes_per_second: float = float("inf")
    slots: int = 1000
    latency_seconds: float = 0.05
    now: float = 0.0
    opened: int = 0
    refusals: int = 0

    def steps(self, seconds: float) -> Iterator[float]:
        """Let time pass; gives what came in each step, as bytes a second."""
        for _ in range(round(seconds / STEP_SECONDS)):
            self.now += STEP_SECONDS
            while self.opened < self.count.streams:
                if self.opened == self.slots:
                    self.count.refused(self.now)
                    self.refusals += 1
                    break
                self.count.asked()
                self.count.began(self.latency_seconds, self.now)
                self.opened += 1
            while self.opened > self.count.streams:
                self.count.stopped(self.now)
                self.count.ended()
                self.opened -= 1
            supply = self.rate(self.opened)
            rate = min(supply, self.consumer_bytes_per_second)
            if rate == supply:
                self.count.waited(STEP_SECONDS)
            self.count.received(int(rate * STEP_SECONDS), self.now)
            yield rate

    def run(self, seconds: float) -> None:
        """Let time pass."""
        for _ in self.steps(seconds):
            pass


def fat(streams: int) -> float:
    return min(10e6 * streams, 100e6)


def test_a_fat_link_is_full_within_two_seconds_and_stays_so() -> None:
    reading = Reading(fat)
    reading.run(2)
    assert reading.count.streams >= 10
    rates = list(reading.steps(120))
    assert min(rates) >= 95e6
    assert reading.count.streams <= 16


def test_a_link_that_one_stream_fills_keeps_few() -> None:
    reading = Reading(lambda _: 200e6)
    reading.run(60)
    assert reading.count.streams <= 3


def test_what_a_processor_can_just_take_in_is_enough() -> None:
    reading = Reading(lambda streams: 250e6 * streams)
    for _ in range(600):
        reading.run(0.1)
        assert reading.count.streams == 2


def test_a_link_without_bounds_gets_the_most() -> None:
    reading = Reading(lambda streams: 10e6 * streams)
    reading.run(10)
    assert reading.count.streams == MOST_STREAMS


def test_a_slow_consumer_needs_no_more_streams() -> None:
    reading = Reading(lambda streams: 10e6 * streams, consumer_bytes_per_second=30e6)
    reading.run(60)
    assert reading.count.streams <= 8


def test_a_consumer_is_served_as_fast_as_it_takes() -> None:
    reading = Reading(lambda streams: 10e6 * streams, consumer_bytes_per_second=70e6)
    reading.run(10)
    assert 7 <= reading.count.streams <= 16


def test_a_link_that_becomes_faster_is_noticed() -> None:
    most = [50e6]
    reading = Reading(lambda streams: min(10e6 * streams, most[0]))
    reading.run(10)
    assert reading.count.streams <= 8
    most[0] = 300e6
    reading.run(120)
    assert reading.count.streams >= 30


def test_refused_streams_are_not_asked_for_again_at_once() -> None:
    reading = Reading(lambda streams: 10e6 * streams, slots=6)
    reading.run(40)
    assert reading.count.streams == 6
    assert reading.refusals == 1


def test_streams_whose_answers_are_awaited_have_their_slots() -> None:
    count = StreamCount()
    count.asked()
    count.asked()
    count.refused(1.0)
    assert count.streams == 2


def test_at_least_one_stream_remains() -> None:
    count = StreamCount()
    count.refused(1.0)
    assert count.streams == 1


@pytest.mark.parametrize("fixed", [1, 3, 64])
def test_a_fixed_number_stays(fixed: int) -> None:
    reading = Reading(fat, StreamCount(fixed))
    reading.run(20)
    reading.count.refused(reading.now)
    assert reading.count.streams == fixed


def test_nobody_gets_more_than_the_most() -> None:
    assert StreamCount(1000).streams == MOST_STREAMS


def test_streams_that_are_not_asked_for_say_nothing() -> None:
    count = StreamCount()
    for _ in range(2):
        count.asked()
        count.began(0.05, 0.0)
    for step in range(1, 1000):
        # Two streams bring what they bring; those that are added are never asked for.
        count.waited(0.01)
        count.received(400_000, step / 100)
    assert count.streams == 8


def test_the_rate_of_a_stream() -> None:
    reading = Reading(fat, StreamCount(4))
    assert reading.count.stream_bytes_per_second is None
    reading.run(1)
    assert reading.count.stream_bytes_per_second == pytest.approx(10e6, rel=0.1)
    assert repr(reading.count).startswith("<StreamCount 4, fixed, 1")


def test_waiting_for_answers_does_not_make_a_stream_slow() -> None:
    count, now = StreamCount(1), 0.0
    for _ in range(20):
        count.asked()
        count.waited(0.2)
        now += 0.2
        count.began(0.2, now)
        for _ in range(10):
            count.waited(0.01)
            now += 0.01
            count.received(100_000, now)
        count.stopped(now)
        count.ended()
    assert count.stream_bytes_per_second == pytest.approx(10e6, rel=0.01)


def test_a_burst_at_the_beginning_is_soon_outweighed() -> None:
    count = StreamCount(1)
    count.asked()
    count.began(0.05, 0.0)
    count.received(1_000_000, 0.05)
    assert count.stream_bytes_per_second == pytest.approx(20e6)
    count.received(1_000_000, 0.15)
    assert count.stream_bytes_per_second == pytest.approx(2e6 / 0.15)


def test_one_fast_stream_is_enough_until_it_is_slow() -> None:
    count = StreamCount()
    count.asked()
    count.began(0.0, 0.0)
    count.received(20_000, 0.0001)
    assert not count.one_is_enough  # too few bytes to tell
    count.received(80_000, 0.0005)
    assert count.one_is_enough
    for step in range(1, 100):
        count.waited(0.01)
        count.received(8_000_000, step / 100)
        assert count.one_is_enough
    for step in range(100, 150):
        count.waited(0.01)
        count.received(1_000_000, step / 100)
    assert not count.one_is_enough


def test_a_burst_at_the_beginning_does_not_make_one_stream_enough_for_long() -> None:
    count = StreamCount()
    count.asked()
    count.began(0.0, 0.0)
    count.received(200_000, 0.0005)
    assert count.one_is_enough
    count.received(500_000, 0.05)
    assert not count.one_is_enough


@pytest.mark.parametrize(("fixed", "enough"), [(0, True), (1, True), (2, False), (4, False)])
def test_of_a_fixed_number_of_streams_all_are_wanted(fixed: int, enough: bool) -> None:
    count = StreamCount(fixed)
    count.asked()
    count.began(0.0, 0.0)
    count.received(1_000_000, 0.001)
    assert count.one_is_enough == enough
