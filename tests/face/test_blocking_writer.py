"""``paiio.TableWriter`` as its documentation and the programs that use it have it."""

from __future__ import annotations

import itertools
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from blocking_tables import rows_of
from test_bridge import Interrupt, interrupt_main_thread, interrupts

import aiopaiio
import paiio
from aiopaiio.local import LocalService
from aiopaiio.local.faults import Fault, Stall, Status

MakeTable = Callable[..., str]


def test_the_documented_program(make_table: MakeTable) -> None:
    path = make_table("uid bigint, name string, price double, virtual boolean")
    # From here on as printed.
    values = [(25, "Apple", 5.0, False), (38, "Pear", 4.5, False), (17, "Watermelon", 2.2, False)]
    indices = [0, 1, 2, 3]
    writer = paiio.python_io.TableWriter(path, slice_id=0)
    records = writer.write(values, indices)
    writer.close()
    assert records is None
    assert rows_of(path) == values


def test_rows_are_visible_once_closed(make_table: MakeTable) -> None:
    path = make_table("a bigint")
    with paiio.TableWriter(path) as writer:
        writer.write((1,), [0])
        assert rows_of(path) == []
    assert rows_of(path) == [(1,)]
    writer.close()
    # A writer appends.
    with paiio.TableWriter(path, 3) as writer:
        writer.write([[2], [3]], indices=range(1))
        writer.write(np.array([4]), col_indices=np.array([0]))
    assert rows_of(path) == [(1,), (2,), (3,), (4,)]
    with paiio.TableWriter(path, overwrite=True) as writer:
        writer.write((5,))
    assert rows_of(path) == [(5,)]


def test_leaving_by_an_exception_makes_nothing_visible(make_table: MakeTable) -> None:
    path = make_table("a bigint")
    with pytest.raises(KeyError), paiio.TableWriter(path) as writer:
        writer.write((1,), [0])
        raise KeyError
    writer.close()
    assert rows_of(path) == []


def test_nothing_written(make_table: MakeTable) -> None:
    path = make_table("a bigint")
    paiio.TableWriter(path).close()
    with paiio.TableWriter(path) as writer:
        writer.write([], [0])
    assert rows_of(path) == []


def test_a_missing_partition_is_created(make_table: MakeTable) -> None:
    path = make_table("a bigint", [(1,)], "ds=1").replace("ds=1", "ds=2")
    with pytest.raises(aiopaiio.NoSuchPartition):
        paiio.TableReader(path)
    with paiio.TableWriter(path) as writer:
        writer.write((2,))
    assert rows_of(path) == [(2,)]


def test_many_rows_one_by_one_and_in_calls_of_all_sizes(make_table: MakeTable) -> None:
    path = make_table("a bigint, b string")
    expected: list[Any] = []
    with paiio.TableWriter(path) as writer:
        for size in (1, 3000, 2, 31, 70_000, 1, 1, 40):
            rows = [(len(expected) + number, f"row {number}") for number in range(size)]
            writer.write(rows if size > 1 else rows[0], [0, 1])
            expected += rows
    assert rows_of(path) == expected


def test_a_failing_call_takes_nothing_and_the_writer_goes_on(make_table: MakeTable) -> None:
    path = make_table("a bigint, b string")
    with paiio.TableWriter(path) as writer:
        writer.write((1, "x"), [0, 1])
        for values, indices, options, kind in (
            ([(2, "x"), ("?", "x")], [0, 1], {}, aiopaiio.ValueTypeError),
            (("2", "x"), [0, 1], {"allow_type_cast": False}, aiopaiio.ValueTypeError),
            ((2, "x"), [0, 2], {}, aiopaiio.ColumnError),
            ((2,), [0], {"col_indices": [0]}, aiopaiio.UsageError),
        ):
            with pytest.raises(kind):
                writer.write(values, indices, **options)
        writer.write(("3", "y"), [0, 1], True)
    assert rows_of(path) == [(1, "x"), (3, "y")]


def test_use_after_close(make_table: MakeTable) -> None:
    writer = paiio.TableWriter(make_table("a bigint"))
    writer.close()
    writer.close()
    writer.abort()
    with pytest.raises(aiopaiio.ClosedError, match="closed"):
        writer.write((1,), [0])


def test_two_writers_of_one_slice(make_table: MakeTable) -> None:
    path = make_table("a bigint")
    with paiio.TableWriter(path, slice_id=1) as first:
        with pytest.raises(aiopaiio.SliceConflictError, match="slice 1"):
            paiio.TableWriter(path, slice_id=1)
        with paiio.TableWriter(path, slice_id=2) as second:
            second.write((2,))
        first.write((1,))
    assert sorted(rows_of(path)) == [(1,), (2,)]
    paiio.TableWriter(path, slice_id=1).close()


def test_a_shared_upload(make_table: MakeTable) -> None:
    path = make_table("a bigint")
    upload = paiio.python_io.create_upload(path, 2)
    with paiio.TableWriter(path, 0, upload=upload) as writer:
        with pytest.raises(aiopaiio.SliceConflictError):
            paiio.TableWriter(path, 0, upload=upload)
        writer.write((1,))
    with pytest.raises(aiopaiio.CommitError):
        paiio.python_io.commit_upload(upload)
    with paiio.TableWriter(path, 1, upload=upload) as writer:
        writer.write((2,))
    assert rows_of(path) == []
    paiio.python_io.commit_upload(upload)
    assert rows_of(path) == [(1,), (2,)]


def test_a_forgotten_writer_warns_and_commits_nothing(make_table: MakeTable) -> None:
    path = make_table("a bigint")
    writer = paiio.TableWriter(path)
    writer.write((1,), [0])
    forgotten = [writer]
    del writer
    with pytest.warns(ResourceWarning, match="none of its rows"):
        forgotten.clear()
    assert rows_of(path) == []


def test_errors_at_opening(make_table: MakeTable) -> None:
    path = make_table("a bigint", [(1,)], "ds=1")
    for wrong, kind in (
        ("odps://demo/tables", aiopaiio.TablePathError),
        (path + "&ds=2", aiopaiio.TablePathError),
        ("odps://demo/tables/nothing", aiopaiio.NoSuchTable),
    ):
        with pytest.raises(kind):
            paiio.TableWriter(wrong)


def test_threads_share_a_writer(make_table: MakeTable) -> None:
    """Rows of one pattern after another and of several at once, alone and in calls of a few and of many."""
    path = make_table("a bigint, b string, c double")
    patterns: list[list[int]] = [[0, 1, 2], [0, 1, 2], [0, 2], [2, 1, 0]]
    row_count = 6000

    def write(thread: int) -> None:
        numbers = itertools.count(thread * row_count)
        for size in itertools.cycle([1] * 50 + [3, 1, 40]):
            rows = [(number, str(number), number / 2) for number in itertools.islice(numbers, size)]
            rows = [row for row in rows if row[0] < (thread + 1) * row_count]
            if not rows:
                return
            indices = patterns[(thread + size) % len(patterns)]
            cut = [tuple(row[at] for at in indices) for row in rows]
            writer.write(cut if size > 1 else cut[0], list(indices))

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with paiio.TableWriter(path) as writer, ThreadPoolExecutor() as threads:
            list(threads.map(write, range(4)))
    finally:
        sys.setswitchinterval(interval)
    found = rows_of(path)
    assert sorted(row[0] for row in found) == list(range(4 * row_count))
    assert all(text in (None, str(number)) and half == number / 2 for number, text, half in found)
    # What one thread wrote stands in order.
    for thread in range(4):
        own = [row[0] for row in found if row[0] // row_count == thread]
        assert own == sorted(own)


def test_an_abort_ends_the_write_of_another_thread(service: LocalService, make_table: MakeTable) -> None:
    path = make_table("a string")
    blocked = threading.Event()
    service.faults.add(Fault("put_block", Stall(), when=lambda _: blocked.set() or True))
    writer = paiio.TableWriter(path)

    def write() -> None:
        rows = [("x" * 1_000_000,)] * 10
        while True:
            writer.write(rows)

    with ThreadPoolExecutor() as threads:
        writing = [threads.submit(write) for _ in range(2)]
        blocked.wait()
        writer.abort()
        for write_of_a_thread in writing:
            with pytest.raises(aiopaiio.ClosedError):
                write_of_a_thread.result()
    service.faults.clear()
    assert rows_of(path) == []


def test_a_call_within_a_call_is_refused(make_table: MakeTable) -> None:
    """As one in a signal handler is, which would wait for what it interrupted."""
    path = make_table("a bigint")

    def rows() -> Iterator[tuple[int]]:
        yield (1,)
        writer.write((2,), [0])

    with paiio.TableWriter(path) as writer:
        with pytest.raises(aiopaiio.BusyError):
            writer.write(rows(), [0])
        writer.write((3,), [0])
    assert rows_of(path) == [(3,)]


def test_an_upload_that_fails_in_the_background(service: LocalService, make_table: MakeTable) -> None:
    path = make_table("a string")
    service.faults.add(Fault("put_block", Status(403, "NoPermission")))
    writer = paiio.TableWriter(path)
    with pytest.raises(aiopaiio.AuthorizationError):
        for _ in range(200):
            writer.write([("x" * 100_000,)] * 10)
    for use in (lambda: writer.write(("x",)), writer.close):
        with pytest.raises(aiopaiio.AuthorizationError):
            use()
    service.faults.clear()
    assert rows_of(path) == []
    # The slice is free again.
    paiio.TableWriter(path).close()


def test_a_close_that_fails(service: LocalService, make_table: MakeTable) -> None:
    path = make_table("a bigint")
    service.faults.add(Fault("commit_upload", Status(403, "NoPermission")))
    writer = paiio.TableWriter(path)
    writer.write((1,))
    with pytest.raises(aiopaiio.AuthorizationError):
        writer.close()
    service.faults.clear()
    writer.close()
    assert rows_of(path) == []
    paiio.TableWriter(path).close()


def test_an_interrupted_write_cannot_be_committed(service: LocalService, make_table: MakeTable) -> None:
    path = make_table("a string")
    blocked = threading.Event()

    def tell(operation: Any) -> bool:
        blocked.set()
        return True

    service.faults.add(Fault("put_block", Stall(), when=tell))

    def interrupt() -> None:
        blocked.wait()
        interrupt_main_thread()

    writer = paiio.TableWriter(path)
    rows = [("x" * 1_000_000,)] * 10
    threading.Thread(target=interrupt).start()
    with interrupts(), pytest.raises(Interrupt):
        while True:
            writer.write(rows)
    with pytest.raises(aiopaiio.UsageError, match="interrupted"):
        writer.close()
    service.faults.clear()
    assert rows_of(path) == []
