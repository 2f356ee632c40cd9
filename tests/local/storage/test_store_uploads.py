"""Upload sessions: blocks, replacement, commit."""

from __future__ import annotations

import threading
from pathlib import Path

import pyarrow as pa
import pytest
from store_rows import refuses, rows_of

from aiopaiio.local.storage import Store, TableName
from aiopaiio.local.storage.batch_cuts import MAX_BATCH_ROWS
from aiopaiio.schema import Column, TableSchema


def data_files(root: Path) -> set[str]:
    return {path.name for path in (root / "data").iterdir()}


def test_nothing_is_visible_before_the_commit_and_everything_after(
    store: Store, table: TableName, write_block, read_ids
) -> None:
    upload = store.create_upload(table)
    for block_id in (7, 0, 3):
        write_block(upload.id, block_id, [block_id * 10, block_id * 10 + 1])
    assert [(b.block_id, b.row_count) for b in store.get_upload(upload.id).blocks] == [(0, 2), (3, 2), (7, 2)]
    assert read_ids(table) == []
    committed = store.commit_upload(upload.id)
    assert (committed.status, [b.block_id for b in committed.blocks]) == ("closed", [0, 3, 7])
    assert read_ids(table) == [0, 1, 30, 31, 70, 71]
    assert store.get_table(table).row_count == 6


def test_a_block_sent_again_replaces_the_first(
    store: Store, table: TableName, root: Path, write_block, read_ids
) -> None:
    upload = store.create_upload(table)
    write_block(upload.id, 0, [1, 2, 3])
    old = data_files(root)
    write_block(upload.id, 0, [4])
    assert [b.row_count for b in store.get_upload(upload.id).blocks] == [1]
    assert data_files(root).isdisjoint(old)
    store.commit_upload(upload.id)
    assert read_ids(table) == [4]


def test_of_two_writers_of_one_block_the_last_to_complete_counts(store: Store, table: TableName, read_ids) -> None:
    upload = store.create_upload(table)
    first, second = store.open_block(upload.id, 0), store.open_block(upload.id, 0)
    first.write(rows_of([1]))
    second.write(rows_of([2]))
    second.commit()
    first.commit()
    store.commit_upload(upload.id)
    assert read_ids(table) == [1]


def test_a_block_that_is_not_committed_leaves_nothing(store: Store, table: TableName, root: Path, write_block) -> None:
    upload = store.create_upload(table)
    write_block(upload.id, 0, [1])
    before = data_files(root)
    with store.open_block(upload.id, 0) as block:
        block.write(rows_of(range(MAX_BATCH_ROWS + 1)))
        assert data_files(root) > before
    assert data_files(root) == before
    with refuses("StatusConflict"):
        block.commit()
    with refuses("StatusConflict"):
        block.write(rows_of([1]))
    assert [b.row_count for b in store.get_upload(upload.id).blocks] == [1]


def test_committing_again_changes_nothing(store: Store, table: TableName, append, read_ids) -> None:
    committed = append(table, [1])
    append(table, [2])
    assert store.commit_upload(committed.id) == committed
    assert read_ids(table) == [1, 2]


def test_a_closed_session_takes_no_blocks(store: Store, table: TableName, write_block) -> None:
    upload = store.create_upload(table)
    late = store.open_block(upload.id, 1)
    late.write(rows_of(range(5000)))
    write_block(upload.id, 0, [1])
    store.commit_upload(upload.id)
    with refuses("StatusConflict"):
        late.commit()
    for call in (lambda: store.open_block(upload.id, 2), lambda: store.abort_upload(upload.id)):
        with refuses("StatusConflict"):
            call()
    assert store.get_table(table).row_count == 1
    assert store.collect_garbage() == 0


def test_an_aborted_session_leaves_nothing(store: Store, table: TableName, root: Path, write_block) -> None:
    upload = store.create_upload(table)
    write_block(upload.id, 0, [1])
    store.abort_upload(upload.id)
    store.abort_upload(upload.id)
    assert store.get_upload(upload.id).status == "canceled"
    assert data_files(root) == set()
    with refuses("StatusConflict"):
        store.commit_upload(upload.id)


def test_overwrite_replaces_at_the_commit(store: Store, table: TableName, append, write_block, read_ids) -> None:
    append(table, [1, 2])
    upload = store.create_upload(table, overwrite=True)
    write_block(upload.id, 0, [3])
    append(table, [4])
    assert read_ids(table) == [1, 2, 4]
    store.commit_upload(upload.id)
    assert read_ids(table) == [3]
    assert store.get_table(table).row_count == 1


def test_an_empty_overwrite_empties_the_table_and_an_empty_append_does_not(
    store: Store, table: TableName, append, read_ids
) -> None:
    append(table, [1])
    store.commit_upload(store.create_upload(table).id)
    assert read_ids(table) == [1]
    store.commit_upload(store.create_upload(table, overwrite=True).id)
    assert read_ids(table) == []


def test_a_block_without_rows_exists(store: Store, table: TableName, write_block, read_ids) -> None:
    upload = store.create_upload(table)
    write_block(upload.id, 0, [])
    with store.open_block(upload.id, 1) as block:
        block.commit()
    assert [(b.block_id, b.row_count) for b in store.get_upload(upload.id).blocks] == [(0, 0), (1, 0)]
    store.commit_upload(upload.id)
    assert read_ids(table) == []


def test_create_partition(store: Store, days: TableName) -> None:
    upload = store.create_upload(days, "ds=a,hh=1", create_partition=True)
    assert upload.partition == "ds=a,hh=1"
    assert [p.spec for p in store.list_partitions(days)[0]] == ["ds=a,hh=1"]
    store.create_upload(days, "ds=a,hh=1", create_partition=True)


@pytest.mark.parametrize("block_id", [-1, 20_000])
def test_block_ids_are_bounded(store: Store, table: TableName, block_id: int) -> None:
    with refuses("InvalidBlockID"):
        store.open_block(store.create_upload(table).id, block_id)


def test_a_session_ends_after_a_day(store: Store, table: TableName, root: Path, clock, write_block) -> None:
    upload = store.create_upload(table)
    write_block(upload.id, 0, [1])
    clock.pass_hours(23.9)
    assert store.collect_garbage() == 0
    clock.pass_hours(0.2)
    for call in (store.get_upload, store.commit_upload, store.abort_upload, lambda i: store.open_block(i, 0)):
        with refuses("NoSuchUpload"):
            call(upload.id)
    assert store.collect_garbage() == 1
    assert data_files(root) == set()
    with refuses("NoSuchUpload"):
        store.get_upload("../../x")


def test_a_target_that_was_dropped_refuses_the_commit(store: Store, days: TableName, write_block) -> None:
    uploads = [store.create_upload(days, "ds=a,hh=1", create_partition=True) for _ in range(2)]
    for upload in uploads:
        write_block(upload.id, 0, [1])
    store.drop_partition(days, "ds=a,hh=1")
    store.add_partition(days, "ds=a,hh=1")
    with refuses("NoSuchPartition"):
        store.commit_upload(uploads[0].id)
    store.drop_table(days)
    with refuses("NoSuchTable"):
        store.commit_upload(uploads[1].id)
    assert store.get_upload(uploads[0].id).status == "normal"


def test_a_refused_commit_changes_nothing(store: Store, table: TableName, append, write_block, read_ids) -> None:
    append(table, [1])
    upload = store.create_upload(table, overwrite=True)
    write_block(upload.id, 0, [2])
    store.rename_table(table, "other")
    store.create_table(table, TableSchema((Column("id", "bigint"),)))
    other = TableName("demo", None, "other")
    assert read_ids(other) == [1]
    store.commit_upload(upload.id)
    assert (read_ids(other), read_ids(table)) == ([2], [])


def test_columns_are_found_by_name_and_missing_ones_are_null(store: Store, table: TableName) -> None:
    upload = store.create_upload(table)
    with store.open_block(upload.id, 0) as block:
        block.write(pa.record_batch([pa.array(["x"]), pa.array([1])], names=["NAME", "Id"]))
        block.write(pa.record_batch([pa.array([2])], names=["id"]))
        block.write(pa.record_batch([pa.array(["y"])], names=["name"]))
        assert block.commit().row_count == 3
    store.commit_upload(upload.id)
    session = store.create_download(table)
    rows = pa.Table.from_batches(store.read_rows(session.id, 0, 9)).to_pylist()
    assert rows == [{"id": 1, "name": "x"}, {"id": 2, "name": None}, {"id": None, "name": "y"}]


def test_many_threads_write_and_commit_at_once(store: Store, table: TableName, append, read_ids) -> None:
    errors: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for turn in range(5):
                append(table, [number * 1000 + turn * 10 + i for i in range(3)])
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    ids = read_ids(table)
    assert sorted(ids) == sorted(n * 1000 + t * 10 + i for n in range(8) for t in range(5) for i in range(3))
    assert all(ids[k : k + 3] == list(range(ids[k], ids[k] + 3)) for k in range(0, len(ids), 3))
