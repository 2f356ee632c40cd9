"""A service behind the documented configuration file, and tables made with nothing but the blocking face."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from blocking_tables import run_sql

import paiio
from aiopaiio.local import LocalService


@pytest.fixture
def service(threaded_service: LocalService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LocalService:
    """A running service that ``ODPS_CONFIG_FILE_PATH`` leads to."""
    monkeypatch.setenv("ODPS_CONFIG_FILE_PATH", str(threaded_service.write_config(tmp_path / "odps_config.ini")))
    return threaded_service


@pytest.fixture
def make_table(service: LocalService) -> Callable[..., str]:
    """Create a table in the project ``demo``, perhaps with rows in a partition; gives its path."""
    numbers = itertools.count()

    def make_table(columns: str, rows: list[Any] | None = None, partition: str = "") -> str:
        name = f"t{next(numbers)}"
        keys = ", ".join(f"{part.split('=')[0]} string" for part in partition.split("/") if part)
        run_sql(f"create table {name} ({columns})" + (f" partitioned by ({keys})" if keys else ""))
        path = f"odps://demo/tables/{name}" + (f"/{partition}" if partition else "")
        if rows is not None:
            with paiio.TableWriter(path) as writer:
                writer.write(rows)
        return path

    return make_table
