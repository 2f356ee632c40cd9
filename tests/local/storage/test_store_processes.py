"""Several processes on one root, and collection while others work."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import pytest
from crash_writer import BLOCKS, LATEST, LOG, ROWS
from store_rows import child_environment, refuses, rows_of

from aiopaiio.local.storage import Store, TableName
from aiopaiio.schema import Column, TableSchema

PER_PROCESS = 4


@pytest.mark.slow
def test_two_processes_commit_while_a_third_reads(tmp_path: Path) -> None:
    with Store(tmp_path) as store, ExitStack() as children:
        for name in (LOG, LATEST):
            store.create_table(name, TableSchema((Column("number", "bigint"), Column("block", "bigint"))))
        processes = [children.enter_context(start_writer(tmp_path, first)) for first in (0, 1000)]
        snapshots = 0
        while any(process.poll() is None for process in processes):
            log, latest = numbers_of(store, LOG), numbers_of(store, LATEST)
            assert set(log.values()) | set(latest.values()) <= {BLOCKS * ROWS}, "part of a commit is visible"
            assert len(latest) <= 1
            store.collect_garbage()
            snapshots += 1
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.read().count("done") == PER_PROCESS
        assert snapshots > 1
        expected = [first + turn for first in (0, 1000) for turn in range(PER_PROCESS)]
        assert numbers_of(store, LOG) == dict.fromkeys(expected, BLOCKS * ROWS)


def start_writer(root: Path, first: int) -> subprocess.Popen[str]:
    command = [sys.executable, str(Path(__file__).with_name("crash_writer.py")), str(root)]
    pipe, environment = subprocess.PIPE, child_environment()
    process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=environment)
    assert process.stdin is not None
    process.stdin.write(f"{first} {first + PER_PROCESS - 1}\n")
    process.stdin.close()
    return process


def numbers_of(store: Store, name: TableName) -> Counter[int]:
    session = store.create_download(name)
    counts: Counter[int] = Counter()
    for batch in store.read_rows(session.id, 0, session.row_count):
        counts.update(batch.column(0).to_pylist())
    assert counts.total() == session.row_count
    return counts


def test_another_process_does_not_collect_a_file_that_is_being_written(
    store: Store, root: Path, table: TableName, clock, read_ids
) -> None:
    clock.now = time.time()  # the other process has no clock but the real one
    upload = store.create_upload(table)
    block = store.open_block(upload.id, 0)
    block.write(rows_of(range(5000)))
    collect = "import sys; from aiopaiio.local.storage import Store; print(Store(sys.argv[1]).collect_garbage())"
    command = [sys.executable, "-c", collect, str(root)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=child_environment())
    assert done.stdout.strip() == "0"
    block.commit()
    store.commit_upload(upload.id)
    assert read_ids(table) == list(range(5000))


def test_what_a_dead_process_left_is_collected_at_the_next_start(store: Store, root: Path, table: TableName) -> None:
    store.close()
    orphan = root / "data" / f"{'0' * 32}.arrow"
    orphan.write_bytes(b"half a file")
    foreign = root / "data" / "README"
    foreign.write_text("not ours")
    Store(root).close()
    assert not orphan.exists()
    assert foreign.exists()


def test_two_stores_of_one_root_see_each_other(store: Store, root: Path, table: TableName, clock, append) -> None:
    with Store(root, clock=clock) as other:
        append(table, [1, 2])
        session = other.create_download(table)
        assert [batch.num_rows for batch in store.read_rows(session.id, 0, 9)] == [2]
        other.truncate(table)
        assert store.get_table(table).row_count == 0


def test_a_store_inherited_by_fork_refuses(store: Store, table: TableName) -> None:
    child = os.fork()
    if child == 0:
        try:
            store.get_table(table)
        except BaseException as error:
            os._exit(7 if "before fork" in str(error) else 1)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    assert store.exist_table(table)


def test_a_closed_store_refuses(store: Store, table: TableName) -> None:
    store.close()
    store.close()
    with refuses("InternalServerError", "closed"):
        store.get_table(table)
