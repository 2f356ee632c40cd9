"""Fixtures live in ``fixtures/``, one file for each concern."""

from __future__ import annotations

import gc

from hypothesis import settings

pytest_plugins = ("fixtures.aio_client", "fixtures.local_service", "fixtures.pyodps_client")

# A deadline is an assertion on time, which a busy machine breaks.
settings.register_profile("aiopaiio", deadline=None)
settings.load_profile("aiopaiio")


def pytest_collection_finish() -> None:
    """What is imported by now stays: collections of garbage, of which there are many, need not look at it each time."""
    gc.collect()
    gc.freeze()
