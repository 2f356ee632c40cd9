"""When to try again, and how long to wait before it: decisions on values; the caller's loop does the waiting."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception
from tenacity.wait import wait_random_exponential

from aiopaiio.errors import Error, ServerError, Throttled, UsageError

sleep = asyncio.sleep

__all__ = ["RetryPolicy"]


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How faults of the service and the network are outlived.

    A fault that may pass is tried again after a random wait below an exponentially growing bound
    (``first_wait_seconds`` doubling up to ``longest_wait_seconds``), until it has lasted ``outage_seconds``; progress
    starts the count afresh. A service that asks to wait (quota, slots) is waited for up to ``throttle_seconds``; its
    ``Retry-After`` is honoured, and one that goes beyond all this is final at once.
    """

    outage_seconds: float = 60.0
    throttle_seconds: float = 600.0
    first_wait_seconds: float = 0.1
    longest_wait_seconds: float = 8.0

    def __post_init__(self) -> None:
        for name in ("outage_seconds", "throttle_seconds", "first_wait_seconds", "longest_wait_seconds"):
            if not getattr(self, name) >= 0:
                raise UsageError(f"{name} must not be negative, not {getattr(self, name)}")

    def gives_up(self, error: BaseException, elapsed_seconds: float) -> bool:
        """Whether ``error`` is final after ``elapsed_seconds`` without progress."""
        if not (isinstance(error, Error) and error.retryable):
            return True
        budget_seconds = self.throttle_seconds if isinstance(error, Throttled) else self.outage_seconds
        asked = error.retry_after_seconds if isinstance(error, ServerError) else None
        return elapsed_seconds >= budget_seconds or elapsed_seconds + (asked or 0.0) > budget_seconds

    def wait_seconds(self, error: BaseException, attempt: RetryCallState) -> float:
        """How long to wait after the failed ``attempt``."""
        asked = error.retry_after_seconds if isinstance(error, ServerError) else None
        backoff = float(
            wait_random_exponential(multiplier=self.first_wait_seconds, max=self.longest_wait_seconds)(attempt)
        )
        return max(asked or 0.0, backoff)

    def retrying(self, logger: logging.Logger, describe: Callable[[], str]) -> AsyncRetrying:
        """A loop over attempts that ends with the first success or the last error.

        Each retry is one warning of ``logger``: what ``describe`` says, the number of the attempt, the error.
        """

        def failure(state: RetryCallState) -> BaseException:
            error = state.outcome.exception() if state.outcome else None
            assert error is not None  # asked only after a failed attempt
            return error

        def warn(state: RetryCallState) -> None:
            logger.warning(
                "%s: attempt %d failed, next in %.1f s: %s",
                describe(),
                state.attempt_number,
                state.upcoming_sleep,
                failure(state),
            )

        return AsyncRetrying(
            retry=retry_if_exception(lambda error: isinstance(error, Error) and error.retryable),
            stop=lambda state: self.gives_up(failure(state), state.seconds_since_start or 0.0),
            wait=lambda state: self.wait_seconds(failure(state), state),
            before_sleep=warn,
            sleep=sleep,
            reraise=True,
        )
