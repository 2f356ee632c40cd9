"""One service for the tests of a module, tables made through ``paiio``, and programs run as users run them."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from anyio.from_thread import start_blocking_portal

import paiio
from aiopaiio import Client
from aiopaiio.local import Limits, LocalService, serve
from paiio._bridge import bridge

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = Path(__file__).parent / "programs"
LIMIT_SECONDS = 100


@dataclass
class Tables:
    """Tables of the project ``demo`` of a service that ``ODPS_CONFIG_FILE_PATH`` leads to."""

    service: LocalService
    _numbers: Any = field(default_factory=itertools.count)

    def new(self, columns: str, rows: Sequence[Any] = (), partition: str = "", *, name: str = "") -> str:
        """Create a table, perhaps with rows in a partition; gives its path."""
        name = name or f"t{next(self._numbers)}"
        keys = ", ".join(f"{part.split('=')[0]} string" for part in partition.split("/") if part)
        self.sql(f"create table {name} ({columns})" + (f" partitioned by ({keys})" if keys else ""))
        path = f"odps://demo/tables/{name}" + (f"/{partition}" if partition else "")
        if rows:
            with paiio.TableWriter(path) as writer:
                writer.write(list(rows))
        return path

    def sql(self, statement: str, schema: str | None = None) -> None:
        """Run one statement."""

        async def run() -> None:
            async with Client() as client:
                await client.execute_sql(statement, "demo", schema)

        bridge().call(run)

    def rows(self, path: str, **options: Any) -> list[tuple[Any, ...]]:
        """All rows of a table."""
        with paiio.TableReader(path, **options) as reader:
            return list(reader)


@contextmanager
def running(root: Path, limits: Limits | None = None) -> Iterator[LocalService]:
    """A service on ``root`` that the configuration leads to."""
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(serve(root, limits=limits)) as service,
        mock.patch.dict(os.environ, ODPS_CONFIG_FILE_PATH=str(service.write_config(root / "odps_config.ini"))),
    ):
        yield service


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tables]:
    with running(tmp_path_factory.mktemp("compat")) as service:
        yield Tables(service)


def run_python(
    *arguments: str, paths: Sequence[Path | str] = (ROOT,), cwd: Path | None = None, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run Python with these arguments, this module search path and environment of the test; killed if it hangs."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, paths)), "TF_CPP_MIN_LOG_LEVEL": "3"} | variables
    return subprocess.run(
        [sys.executable, *arguments],
        env=environment,
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=LIMIT_SECONDS,
        check=False,
    )


def run_program(name: str, *arguments: str, cwd: Path | None = None, **variables: str) -> str:
    """What one of ``programs/`` prints when ``python -m paiio.compat`` runs it, unmodified."""
    done = run_python("-m", "paiio.compat", str(PROGRAMS / f"{name}.py"), *arguments, cwd=cwd, **variables)
    assert done.returncode == 0, done.stderr
    return done.stdout
