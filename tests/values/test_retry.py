"""Retry decisions: what is final, how long is waited, what the log says. No real waiting."""

import logging

import pytest

from aiopaiio import errors
from aiopaiio.retry import RetryPolicy

logger = logging.getLogger(__name__)


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The waits asked for, instead of waiting."""
    asked: list[float] = []

    async def note(seconds: float) -> None:
        asked.append(seconds)

    monkeypatch.setattr("aiopaiio.retry.sleep", note)
    return asked


async def attempts(policy: RetryPolicy, *outcomes: Exception | str) -> str:
    remaining = list(outcomes)
    async for attempt in policy.retrying(logger, lambda: "the work"):
        with attempt:
            outcome = remaining.pop(0)
            if isinstance(outcome, Exception):
                raise outcome
            return outcome
    raise AssertionError


async def test_a_fault_that_passes(waits: list[float], caplog: pytest.LogCaptureFixture) -> None:
    lost = errors.ConnectionLost("gone", request_id="R7")
    assert await attempts(RetryPolicy(), lost, lost, "done") == "done"
    assert len(waits) == 2
    assert 0 <= waits[0] <= 0.1
    assert 0 <= waits[1] <= 0.2
    assert [r.levelname for r in caplog.records] == ["WARNING"] * 2
    assert "the work: attempt 1 failed" in caplog.text
    assert "R7" in caplog.text


@pytest.mark.parametrize("error", [errors.NoSuchTable("no"), errors.UnprovenRowsError("no"), RuntimeError("bug")])
async def test_what_is_final_is_raised_at_once(waits: list[float], error: Exception) -> None:
    with pytest.raises(type(error)):
        await attempts(RetryPolicy(), error, "never")
    assert waits == []


async def test_retry_after_is_honoured(waits: list[float]) -> None:
    throttled = errors.Throttled("later", retry_after_seconds=17.0)
    assert await attempts(RetryPolicy(), throttled, "done") == "done"
    assert waits == [17.0]


async def test_the_wait_is_bounded(waits: list[float]) -> None:
    lost = errors.ConnectionLost("gone")
    policy = RetryPolicy(first_wait_seconds=1.0, longest_wait_seconds=2.0)
    assert await attempts(policy, *[lost] * 20, "done") == "done"
    assert max(waits) <= 2.0


def test_the_budget_of_an_outage_and_of_throttling() -> None:
    policy = RetryPolicy(outage_seconds=60, throttle_seconds=600)
    assert not policy.gives_up(errors.ConnectionLost(""), 59)
    assert policy.gives_up(errors.ConnectionLost(""), 60)
    assert not policy.gives_up(errors.Throttled(""), 599)
    assert policy.gives_up(errors.Throttled(""), 600)
    assert policy.gives_up(errors.NoSuchTable(""), 0)
