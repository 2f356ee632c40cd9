"""The imitated network."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiopaiio.local import Link, serve
from aiopaiio.local.link import Pacer
from fixtures.signed_http import signed_http


@given(st.lists(st.tuples(st.integers(1, 10_000), st.floats(0, 0.5)), min_size=1), st.floats(1e3, 1e7))
def test_bytes_never_pass_faster_than_the_rate(pieces: list[tuple[int, float]], rate: float) -> None:
    pacer = Pacer(rate)
    now = passed = 0.0
    for size, oversleep in pieces:
        now += pacer.reserve(size, now) + oversleep
        passed += size
        assert passed / rate <= now + 0.02 + 1e-6


def test_sleeping_too_long_is_caught_up() -> None:
    pacer = Pacer(1000.0)
    now = 0.0
    for _ in range(100):
        now += pacer.reserve(100, now) + 0.01
    # 10 000 bytes at 1 000 a second: ten seconds, however late each sleep ended.
    assert now == pytest.approx(10, abs=0.05)


async def test_every_answer_takes_a_round_trip(tmp_path: Path) -> None:
    async with serve(tmp_path, link=Link(latency_seconds=0.05)) as service, signed_http(service) as http:
        loop = asyncio.get_running_loop()
        began = loop.time()
        answers = await asyncio.gather(*[http("GET", "/api/projects/demo/tables") for _ in range(5)])
        assert loop.time() - began >= 0.05
        assert [answer.status for answer in answers] == [200] * 5


@pytest.mark.parametrize("link", [Link(stream_bytes_per_second=1e6), Link(total_bytes_per_second=1e6)])
async def test_bodies_take_their_time_in_both_directions(tmp_path: Path, link: Link) -> None:
    async with serve(tmp_path, link=link) as service, signed_http(service) as http:
        loop = asyncio.get_running_loop()
        began = loop.time()
        await http.fill(25_000)  # 200 kB
        assert loop.time() - began >= 0.18 - 0.02
        download = await http.create_download()
        began = loop.time()
        await http.read(download, 0, 25_000)
        assert loop.time() - began >= 0.18 - 0.02
