"""Fixtures live in ``fixtures/``, one file for each concern."""

from __future__ import annotations

pytest_plugins = ("fixtures.local_service", "fixtures.pyodps_client")
