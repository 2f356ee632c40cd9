"""A store on a temporary root whose clock the test moves, and short ways to fill and read it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from store_rows import rows_of

from aiopaiio.local.storage import Store, TableName, Upload
from aiopaiio.schema import Column, TableSchema


class Clock:
    """Unix time that moves only when told to."""

    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now

    def pass_hours(self, hours: float) -> None:
        self.now += hours * 3600


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "warehouse"


@pytest.fixture
def store(root: Path, clock: Clock) -> Iterator[Store]:
    with Store(root, clock=clock) as opened:
        yield opened


@pytest.fixture
def table(store: Store) -> TableName:
    """An unpartitioned table (id bigint, name string)."""
    name = TableName("demo", None, "t")
    store.create_table(name, TableSchema((Column("id", "bigint"), Column("name", "string"))))
    return name


@pytest.fixture
def days(store: Store) -> TableName:
    """A table (id bigint, name string) partitioned by (ds string, hh bigint)."""
    name = TableName("demo", None, "days")
    columns = (Column("id", "bigint"), Column("name", "string"))
    store.create_table(name, TableSchema(columns, (Column("ds", "string"), Column("hh", "bigint"))))
    return name


WriteBlock = Callable[[str, int, Sequence[int]], None]
Append = Callable[..., Upload]
ReadIds = Callable[..., list[int]]


@pytest.fixture
def write_block(store: Store) -> WriteBlock:
    """``write_block(upload_id, block_id, ids)``."""

    def write(upload_id: str, block_id: int, ids: Sequence[int]) -> None:
        with store.open_block(upload_id, block_id) as block:
            block.write(rows_of(ids))
            block.commit()

    return write


@pytest.fixture
def append(store: Store, write_block: WriteBlock) -> Append:
    """``append(name, ids, partition=None, overwrite=False)``: one block, committed."""

    def write(name: TableName, ids: Sequence[int], partition: str | None = None, overwrite: bool = False) -> Upload:
        upload = store.create_upload(name, partition, overwrite=overwrite, create_partition=partition is not None)
        write_block(upload.id, 0, ids)
        return store.commit_upload(upload.id)

    return write


@pytest.fixture
def read_ids(store: Store) -> ReadIds:
    """The ``id`` column of a session; ``read_ids(name)`` of a new one."""

    def read(source: TableName | str, partition: str | None = None) -> list[int]:
        session = source if isinstance(source, str) else store.create_download(source, partition).id
        count = store.get_download(session).row_count
        return [i for batch in store.read_rows(session, 0, count, ["id"]) for i in batch.column(0).to_pylist()]

    return read
