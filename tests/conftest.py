"""Fixtures live in ``fixtures/``, one file for each concern."""

from __future__ import annotations

from hypothesis import settings

pytest_plugins = ("fixtures.aio_client", "fixtures.local_service", "fixtures.pyodps_client")

# A deadline is an assertion on time, which a busy machine breaks.
settings.register_profile("aiopaiio", deadline=None)
settings.load_profile("aiopaiio")
