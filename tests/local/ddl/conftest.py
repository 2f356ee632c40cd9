"""A store, and a way to run SQL on it as the project ``demo``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from aiopaiio.local.ddl import Message, ResultSet, execute
from aiopaiio.local.storage import Store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "warehouse") as opened:
        yield opened


@pytest.fixture
def run(store: Store) -> Callable[..., Message | ResultSet]:
    """``run(sql, **options)``; options are those of :func:`execute`."""

    def call(sql: str, **options) -> Message | ResultSet:
        return execute(store, "demo", sql, owner="me", **options)

    return call
