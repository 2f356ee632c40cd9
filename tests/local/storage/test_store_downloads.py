"""Download sessions: snapshots, row ranges, columns, scans."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from store_rows import refuses, rows_of

from aiopaiio.local.storage import Store, TableName, file_reader
from aiopaiio.local.storage.batch_cuts import MAX_BATCH_ROWS
from aiopaiio.schema import Column, TableSchema, arrow_schema

CHANGES: dict[str, Callable[[Store, TableName], object]] = {
    "truncate": lambda store, name: store.truncate(name),
    "drop": lambda store, name: store.drop_table(name),
    "rename": lambda store, name: store.rename_table(name, "elsewhere"),
    "add columns": lambda store, name: store.add_columns(name, [Column("extra", "string")]),
    "overwrite": lambda store, name: store.commit_upload(store.create_upload(name, overwrite=True).id),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_session_keeps_reading_what_it_found(
    store: Store, root: Path, table: TableName, append, read_ids, clock, change: str
) -> None:
    append(table, [1, 2])
    session = store.create_download(table)
    append(table, [3])
    CHANGES[change](store, table)
    clock.pass_hours(23)
    store.collect_garbage()
    with Store(root, clock=clock) as other:
        assert other.get_download(session.id) == session
        (batch,) = other.read_rows(session.id, 0, 99)
        assert batch.to_pydict() == {"id": [1, 2], "name": ["row 1", "row 2"]}
    assert read_ids(session.id) == [1, 2]


def test_a_session_outlives_its_partition(store: Store, days: TableName, append, read_ids) -> None:
    append(days, [1], "ds=a,hh=1")
    session = store.create_download(days, "ds=a,hh=1")
    store.drop_partition(days, "ds=a,hh=1")
    append(days, [2], "ds=a,hh=1")
    store.collect_garbage()
    assert session.partition == "ds=a,hh=1"
    assert read_ids(session.id) == [1]


def test_a_session_ends_after_a_day_and_then_its_files_go(
    store: Store, root: Path, table: TableName, append, clock
) -> None:
    append(table, [1])
    session = store.create_download(table)
    batches = store.read_rows(session.id, 0, 1)
    store.truncate(table)
    assert store.collect_garbage() == 0
    clock.pass_hours(24)
    with refuses("NoSuchDownload"):
        store.read_rows(session.id, 0, 1)
    assert store.collect_garbage() == 1
    assert list((root / "data").iterdir()) == []
    with refuses("NoSuchDownload"):
        next(batches)
    with refuses("NoSuchDownload"):
        store.get_download("../x")


def test_rows_that_were_read_stay_valid_when_their_file_goes(store: Store, table: TableName, append, clock) -> None:
    append(table, list(range(1000)))
    session = store.create_download(table)
    (batch,) = store.read_rows(session.id, 0, 1000)
    store.drop_table(table)
    clock.pass_hours(25)
    assert store.collect_garbage() == 1
    assert batch.column(0).to_pylist() == list(range(1000))


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_any_row_range_of_any_blocks_is_exact(store: Store, data: st.DataObject) -> None:
    name = TableName("demo", None, "ranges")
    store.drop_table(name, if_exists=True)
    store.create_table(name, TableSchema((Column("id", "bigint"), Column("name", "string"))))
    sizes = data.draw(st.lists(st.integers(0, 6000), max_size=5))
    upload = store.create_upload(name)
    first = 0
    for block_id, size in enumerate(sizes):
        with store.open_block(upload.id, block_id) as block:
            whole, step = rows_of(range(first, first + size)), data.draw(st.integers(700, 7000))
            for start in range(0, size, step):
                block.write(whole.slice(start, step))
            block.commit()
        first += size
    store.commit_upload(upload.id)
    session = store.create_download(name)
    assert session.row_count == sum(sizes)
    start, count = data.draw(st.integers(0, first + 10)), data.draw(st.integers(0, first + 10))
    batches = list(store.read_rows(session.id, start, count))
    assert [i for b in batches for i in b.column(0).to_pylist()] == list(range(first))[start : start + count]
    assert all(b.column(1)[0].as_py() == f"row {b.column(0)[0]}" for b in batches)
    assert all(0 < b.num_rows <= MAX_BATCH_ROWS for b in batches)


def test_batches_end_where_blocks_end(store: Store, table: TableName, write_block) -> None:
    most = MAX_BATCH_ROWS
    upload = store.create_upload(table)
    for block_id, size in enumerate((3, most, most + 1, 2)):
        write_block(upload.id, block_id, range(size))
    store.commit_upload(upload.id)
    session = store.create_download(table)
    assert [b.num_rows for b in store.read_rows(session.id, 0, 99999)] == [3, most, most, 1, 2]
    assert [b.num_rows for b in store.read_rows(session.id, 1, most + 3)] == [2, most, 1]


def test_columns_come_in_the_order_asked(store: Store, table: TableName, append) -> None:
    append(table, [7])
    session = store.create_download(table)
    (batch,) = store.read_rows(session.id, 0, 1, ["NAME", "id"])
    assert batch.to_pydict() == {"name": ["row 7"], "id": [7]}
    assert batch.schema.equals(
        arrow_schema([session.schema.column("name"), session.schema.column("id")]), check_metadata=True
    )


@pytest.mark.parametrize("columns", [["nope"], ["id", "ID"], []])
def test_wrong_columns_are_refused_at_the_call(store: Store, table: TableName, columns: list[str]) -> None:
    session = store.create_download(table)
    with refuses("InvalidColumnSpec"):
        store.read_rows(session.id, 0, 1, columns)


@pytest.mark.parametrize("rows", [(-1, 1), (0, -1)])
def test_wrong_row_ranges_are_refused_at_the_call(store: Store, table: TableName, rows: tuple[int, int]) -> None:
    session = store.create_download(table)
    with refuses("InvalidRowRange"):
        store.read_rows(session.id, *rows)


def test_added_columns_are_null_in_older_rows(store: Store, table: TableName, append) -> None:
    append(table, [1])
    store.add_columns(table, [Column("x", "array<timestamp>"), Column("y", "char(3)")])
    append(table, [2])
    session = store.create_download(table)
    batches = list(store.read_rows(session.id, 0, 2))
    assert [b.to_pylist() for b in batches] == [
        [{"id": 1, "name": "row 1", "x": None, "y": None}],
        [{"id": 2, "name": "row 2", "x": None, "y": None}],
    ]
    assert all(b.schema.equals(arrow_schema(session.schema.columns), check_metadata=True) for b in batches)
    (only_new,) = store.read_rows(session.id, 0, 1, ["y"])
    assert only_new.to_pydict() == {"y": [None]}


def test_reading_copies_nothing(store: Store, table: TableName, append) -> None:
    append(table, list(range(20_000)))
    session = store.create_download(table)
    before = pa.total_allocated_bytes()
    batches = list(store.read_rows(session.id, 5, 19_000))
    assert pa.total_allocated_bytes() == before
    assert sum(b.num_rows for b in batches) == 19_000


@pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="needs Linux to tell what is resident")
def test_what_was_read_does_not_stay_resident(
    store: Store, table: TableName, append, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_reader, "_MAPPED_BYTES", 1 << 20)
    upload = append(table, range(500_000))
    session = store.create_download(table)
    total = most = 0
    for number, batch in enumerate(store.read_rows(session.id, 0, 500_000)):
        total += pc.sum(batch.column(0)).as_py() + len(batch.column(1)[-1].as_py())
        if number % 20 == 0:
            most = max(most, resident_bytes(".arrow"))
    assert total > 0
    assert upload.blocks[0].size > 8 << 20
    assert 0 < most < 4 << 20


def resident_bytes(suffix: str) -> int:
    """Bytes of mapped files with this suffix that are in this process's memory."""
    resident, counting = 0, False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        if "-" in line.split(" ", 1)[0]:
            counting = line.endswith(suffix)
        elif counting and line.startswith("Rss:"):
            resident += int(line.split()[1]) * 1024
    return resident


def test_a_stream_goes_on_when_its_file_is_removed(
    store: Store, table: TableName, append, clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_reader, "_MAPPED_BYTES", 1)
    append(table, range(20_000))
    batches = store.read_rows(store.create_download(table).id, 0, 20_000)
    ids = next(batches).column(0).to_pylist()
    store.drop_table(table)
    clock.pass_hours(25)
    assert store.collect_garbage() == 1
    assert ids + [i for batch in batches for i in batch.column(0).to_pylist()] == list(range(20_000))


def test_a_scan_has_partition_columns_as_columns(store: Store, days: TableName, append) -> None:
    append(days, [3], "ds=b,hh=1")
    append(days, [1, 2], "ds=a,hh=10")
    append(days, [4], "ds=c,hh=1")
    scan = store.create_scan(days, partitions=["ds=b,hh=1", "ds=a,hh=10"], columns=["hh", "id", "ds"])
    assert scan.schema == TableSchema((Column("hh", "bigint"), Column("id", "bigint"), Column("ds", "string")))
    store.drop_table(days)
    rows = [row for b in store.read_rows(scan.id, 0, 9) for row in b.to_pylist()]
    assert rows == [{"hh": 10, "id": 1, "ds": "a"}, {"hh": 10, "id": 2, "ds": "a"}, {"hh": 1, "id": 3, "ds": "b"}]
    (batch,) = store.read_rows(scan.id, 1, 1, ["ds"])
    assert batch.to_pydict() == {"ds": ["a"]}


def test_a_scan_of_everything_up_to_a_limit(store: Store, days: TableName, table: TableName, append, read_ids) -> None:
    append(days, [3], "ds=b,hh=1")
    append(days, [1, 2], "ds=a,hh=10")
    scan = store.create_scan(days, limit=2)
    assert (scan.schema.names, scan.row_count) == (("id", "name", "ds", "hh"), 2)
    assert read_ids(scan.id) == [1, 2]
    assert list(store.read_rows(scan.id, 2, 1)) == []
    append(table, [5])
    assert read_ids(store.create_scan(table).id) == [5]
    assert store.create_scan(days, partitions=[]).row_count == 0
    with refuses("NoSuchPartition"):
        store.create_scan(days, partitions=["ds=q,hh=1"])
    with refuses("InvalidColumnSpec"):
        store.create_scan(days, columns=["q"])


def test_a_date_partition_column(store: Store) -> None:
    name = TableName("demo", None, "d")
    store.create_table(name, TableSchema((Column("id", "bigint"),), (Column("day", "date"),)))
    upload = store.create_upload(name, "day=2024-02-29", create_partition=True)
    with store.open_block(upload.id, 0) as block:
        block.write(pa.record_batch([pa.array([1])], names=["id"]))
        block.commit()
    store.commit_upload(upload.id)
    (batch,) = store.read_rows(store.create_scan(name).id, 0, 1)
    assert batch.schema.field("day").type == pa.date32()
    assert str(batch.column(1)[0]) == "2024-02-29"
    with refuses("InvalidPartitionSpec"):
        store.create_download(name, "day=yesterday")
