"""What a test does with a table besides what it tests."""

from __future__ import annotations

from typing import Any

import paiio
from aiopaiio import Client
from paiio._bridge import bridge


def run_sql(statement: str) -> None:
    """One statement in the project ``demo``."""

    async def run() -> None:
        async with Client() as client:
            await client.execute_sql(statement, "demo")

    bridge().call(run)


def rows_of(path: str, **options: Any) -> list[tuple[Any, ...]]:
    """All rows of a table."""
    with paiio.TableReader(path, **options) as reader:
        return list(reader)
