"""One service for all tests of the datasets, in a thread of its own, and tables in it.

TensorFlow talks to it from threads of its own, so none of it may run in the test's thread.
"""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from anyio.from_thread import start_blocking_portal

import aiopaiio
from aiopaiio.local import LocalService, serve

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

_SQL_TYPES = {
    pa.int64(): "bigint",
    pa.int32(): "int",
    pa.int16(): "smallint",
    pa.int8(): "tinyint",
    pa.float64(): "double",
    pa.float32(): "float",
    pa.bool_(): "boolean",
    pa.string(): "string",
    pa.binary(): "binary",
    pa.timestamp("ms"): "datetime",
    pa.date32(): "date",
    pa.decimal128(10, 2): "decimal(10,2)",
}
_numbers = itertools.count()


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalService]:
    """A service that lives as long as the tests."""
    root = tmp_path_factory.mktemp("service") / "root"
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(serve(root)) as service:
        yield service


@pytest.fixture(autouse=True)
def config_file(service: LocalService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The configuration that datasets find."""
    path = tmp_path / "odps_config.ini"
    service.write_config(path)
    monkeypatch.setenv("ODPS_CONFIG_FILE_PATH", str(path))
    return path


MakeTable = Callable[..., str]


@pytest.fixture
def make_table(service: LocalService) -> MakeTable:
    """Make a table of the rows of a batch or table, perhaps as one partition; gives its path."""

    async def make(rows: pa.RecordBatch | pa.Table, partition: str, name: str) -> None:
        columns = ", ".join(f"{field.name} {_SQL_TYPES[field.type]}" for field in rows.schema)
        keys = ", ".join(f"{part.split('=')[0]} string" for part in partition.split("/") if part)
        async with aiopaiio.Client(
            endpoint=service.endpoint, access_id=service.access_id, access_key=service.access_key, project="demo"
        ) as client:
            await client.execute_sql(
                f"create table if not exists {name} ({columns})" + (f" partitioned by ({keys})" if keys else "")
            )
            async with client.open_writer(_path(name, partition)) as writer:
                await writer.write_batch(rows)

    def make_table(rows: pa.RecordBatch | pa.Table, partition: str = "", name: str = "") -> str:
        name = name or f"t{next(_numbers)}"
        asyncio.run(make(rows, partition, name))
        return _path(name, partition)

    return make_table


def _path(name: str, partition: str) -> str:
    return f"odps://demo/tables/{name}" + (f"/{partition}" if partition else "")


def numbered(count: int, first: int = 0) -> pa.RecordBatch:
    """``count`` rows: their numbers, halves of them, and texts that are NULL in every fifth row."""
    numbers = range(first, first + count)
    return pa.record_batch(
        {
            "id": pa.array(numbers, pa.int64()),
            "half": pa.array([number / 2 for number in numbers], pa.float64()),
            "text": pa.array([None if number % 5 == 0 else f"n{number}" for number in numbers], pa.string()),
        }
    )


def numbered_rows(count: int, first: int = 0) -> list[tuple[int, float, bytes]]:
    """The rows of :func:`numbered` as :data:`DEFAULTS` read them."""
    return [
        (number, number / 2, b"none" if number % 5 == 0 else f"n{number}".encode())
        for number in range(first, first + count)
    ]


DEFAULTS = [-1, 0.0, "none"]


def rows_of(dataset: Any) -> list[tuple[Any, ...]]:
    """All elements of a dataset as tuples of plain values or lists."""
    return [
        tuple(value if isinstance(value, bytes) else value.tolist() for value in element)
        for element in dataset.as_numpy_iterator()
    ]
