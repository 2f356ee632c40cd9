"""``paiio.TableReader`` as its documentation and the programs that use it have it."""

from __future__ import annotations

import itertools
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from test_bridge import Interrupt, interrupt_main_thread, interrupts

import aiopaiio
import paiio
from aiopaiio.local import LocalService
from aiopaiio.local.faults import Fault, Stall, Status
from aiopaiio.local.operations import Operation
from paiio._bridge import Bridge
from paiio._turns import Turns
from paiio.compat import common_io

MakeTable = Callable[..., str]
OutOfRangeException = paiio.python_io.OutOfRangeException

PEOPLE = "uid bigint, name string, price double, virtual boolean"
FOUR = [(25, "Apple", 5.0, False), (38, "Pear", 4.5, False), (17, "Watermelon", 2.2, False), (52, None, None, None)]


def numbered(count: int) -> list[tuple[int, str]]:
    return [(number, f"row {number}") for number in range(count)]


def test_the_documented_program(make_table: MakeTable) -> None:
    path = make_table(PEOPLE, FOUR)
    # From here on as printed.
    reader = paiio.python_io.TableReader(path, selected_cols="uid,name,price", slice_id=0, slice_count=1)
    total_records_num = reader.get_row_count()
    batch_size = 2
    records = reader.read(batch_size)
    assert records.tolist() == [(25, "Apple", 5.0), (38, "Pear", 4.5)]
    records = reader.read(batch_size)
    assert records.tolist() == [(17, "Watermelon", 2.2), (52, None, None)]
    with pytest.raises(paiio.python_io.OutOfRangeException):
        records = reader.read(batch_size)
    reader.close()
    assert total_records_num == 4


def test_a_short_tail_and_then_the_end_again_and_again(make_table: MakeTable) -> None:
    with paiio.TableReader(make_table("a bigint, b string", numbered(5))) as reader:
        assert len(reader.read(3)) == 3
        assert reader.read(3, allow_smaller_final_batch=True).tolist() == numbered(5)[3:]
        for count in (1, 0, 3):
            with pytest.raises(OutOfRangeException, match="End of table reached!"):
                reader.read(count)
    with paiio.TableReader(make_table("a bigint", [(1,), (2,), (3,)])) as reader:
        # A row that is there is never lost to a flag.
        assert len(reader.read(5, allow_smaller_final_batch=False)) == 3


def test_single_rows_do_not_cross_the_bridge(make_table: MakeTable, monkeypatch: pytest.MonkeyPatch) -> None:
    crossings: list[Any] = []
    call = Bridge.call
    with paiio.TableReader(make_table("a bigint, b string", numbered(5000))) as reader:
        monkeypatch.setattr(Bridge, "call", lambda *args, **kwargs: crossings.append(args) or call(*args, **kwargs))
        for row in numbered(5000):
            assert reader.read().tolist() == [row]
    # A batch crosses, and the closing.
    assert 2 <= len(crossings) < 10


def test_reading_no_rows(make_table: MakeTable) -> None:
    with paiio.TableReader(make_table("a bigint", [(1,)])) as reader:
        none = reader.read(0)
        assert isinstance(none, np.recarray)
        assert len(none) == 0
        assert not none
        assert reader.read().tolist() == [(1,)]


def test_the_end_is_an_eof_error_and_out_of_range(make_table: MakeTable) -> None:
    with paiio.TableReader(make_table("a bigint")) as reader:
        assert reader.get_row_count() == 0
        for kind in (EOFError, aiopaiio.OutOfRange, paiio.OutOfRangeException):
            with pytest.raises(kind):
                reader.read()


@pytest.mark.parametrize("count", [-1, 1.5, "3", None])
def test_wrong_numbers_of_records(make_table: MakeTable, count: Any) -> None:
    with (
        paiio.TableReader(make_table("a bigint", [(1,)])) as reader,
        pytest.raises((aiopaiio.UsageError, TypeError), match=r"num_records|supported"),
    ):
        reader.read(count)


def test_seek(make_table: MakeTable) -> None:
    rows = numbered(100)
    with paiio.TableReader(make_table("a bigint, b string", rows), slice_id=1, slice_count=2) as reader:
        part = rows[50:]
        for offset in (0, 3, 40, 5, 49, 0):
            reader.seek(offset)
            assert reader.read(2).tolist() == part[offset : offset + 2]
        reader.seek()
        assert reader.read(100).tolist() == part
        # All rows are read, but the end was not met yet.
        reader.seek(10)
        assert reader.read().tolist() == [part[10]]
        with pytest.raises(OutOfRangeException):
            reader.seek(51)
        # Past the end there is no way back.
        for again in (lambda: reader.seek(0), reader.read):
            with pytest.raises(OutOfRangeException):
                again()
    with paiio.TableReader(make_table("a bigint", [(1,)])) as reader:
        reader.read()
        with pytest.raises(OutOfRangeException):
            reader.read()
        with pytest.raises(OutOfRangeException):
            reader.seek(0)
        with pytest.raises(ValueError, match="at least 0"):
            reader.seek(-1)


def test_schema(make_table: MakeTable) -> None:
    columns = (
        "a BIGINT, b DOUBLE, c BOOLEAN, d STRING, e DATETIME, f MAP<STRING,BIGINT>, g TINYINT, h FLOAT, i DECIMAL(10,2)"
    )
    with paiio.TableReader(make_table(columns)) as reader:
        schema = reader.get_schema()
    assert isinstance(schema, np.ndarray)
    assert schema.ndim == 1
    assert schema.dtype.names == ("colname", "typestr", "pytype")
    expected = [
        ("a", "bigint", int),
        ("b", "double", float),
        ("c", "boolean", bool),
        ("d", "string", object),
        ("e", "datetime", int),
        ("f", "map<string,bigint>", object),
        ("g", "tinyint", int),
        ("h", "float", float),
        ("i", "decimal(10,2)", object),
    ]
    assert schema.tolist() == expected
    assert [(name, typestr, pytype) for name, typestr, pytype in schema] == expected
    assert list(schema["colname"]) == list("abcdefghi")
    assert schema[1]["typestr"] == schema[1][1] == "double"
    assert type(schema[1]["typestr"]) is str
    assert schema[0]["pytype"] is int


def test_columns_come_as_asked(make_table: MakeTable) -> None:
    path = make_table("a bigint, b string, c double", [(1, "x", 0.5)], "ds=20240101/hh=07")
    assert rows_and_names(path) == ([(1, "x", 0.5)], ["a", "b", "c"])
    assert rows_and_names(path, selected_cols=" C , hh,a", excluded_cols="") == ([(0.5, "07", 1)], ["c", "hh", "a"])
    assert rows_and_names(path, excluded_cols="b") == ([(1, 0.5)], ["a", "c"])
    for options, reason in (
        ({"selected_cols": "a", "excluded_cols": "b"}, "together"),
        ({"selected_cols": "a,nothing"}, "nothing"),
        ({"selected_cols": "a,A"}, "twice"),
    ):
        with pytest.raises(aiopaiio.ColumnError, match=reason):
            paiio.TableReader(path, **options)


def rows_and_names(path: str, **options: Any) -> tuple[list[Any], list[str]]:
    with paiio.TableReader(table=path, **options) as reader:
        return reader.read(10).tolist(), list(reader.get_schema()["colname"])


def test_slices_and_row_ranges(make_table: MakeTable) -> None:
    path = make_table("a bigint, b string", numbered(10))
    found, places = [], []
    for slice_id in range(4):
        with paiio.TableReader(path, slice_id=slice_id, slice_count=4, num_threads=2, capacity=3) as reader:
            found += list(reader)
            places.append((reader.start_pos, reader.end_pos, reader.get_row_count()))
    assert found == numbered(10)
    assert places == [(0, 3, 3), (3, 6, 3), (6, 8, 2), (8, 10, 2)]
    with paiio.TableReader(path + "?start=2&end=7", slice_id=1, slice_count=2) as reader:
        assert (reader.start_pos, reader.end_pos) == (5, 7)
        assert list(reader) == numbered(10)[5:7]
    with paiio.TableReader(path + "?start=4&end=4") as reader, pytest.raises(OutOfRangeException):
        reader.read()
    with paiio.TableReader(path, slice_id=11, slice_count=12) as reader, pytest.raises(OutOfRangeException):
        reader.read()
    for slice_id, slice_count in ((4, 4), (-1, 4), (0, 0)):
        with pytest.raises(aiopaiio.SliceError):
            paiio.TableReader(path, slice_id=slice_id, slice_count=slice_count)


def test_several_partitions(make_table: MakeTable) -> None:
    path = make_table("a bigint", [(1,), (2,)], "ds=1")
    with paiio.TableWriter(path.replace("ds=1", "ds=2")) as writer:
        writer.write([(3,)])
    with paiio.TableReader(path + "&ds=2", selected_cols="a,ds") as reader:
        assert reader.read(10).tolist() == [(1, "1"), (2, "1"), (3, "2")]


@pytest.mark.parametrize("options", [{"num_threads": 10_000, "capacity": 1 << 40}, {"num_threads": 1, "capacity": 1}])
def test_extreme_hints(make_table: MakeTable, options: dict[str, int]) -> None:
    with paiio.TableReader(make_table("a bigint, b string", numbered(3000)), **options) as reader:
        assert list(reader) == numbered(3000)


@pytest.mark.parametrize(
    "options", [{"num_threads": -1}, {"capacity": -1}, {"num_threads": "4"}, {"string_as": "text"}]
)
def test_wrong_options(make_table: MakeTable, options: dict[str, Any]) -> None:
    with pytest.raises(aiopaiio.UsageError, match=next(iter(options))):
        paiio.TableReader(make_table("a bigint"), **options)


def test_text_as_bytes_and_bytes_that_are_no_text(make_table: MakeTable) -> None:
    path = make_table("a string", [(b"\xff\xfe",), ("é",), (None,)])
    with paiio.TableReader(path) as reader:
        texts = reader.read(3).tolist()
    assert texts == [("\udcff\udcfe",), ("é",), (None,)]
    with paiio.TableReader(path, string_as="bytes") as reader:
        assert reader.read(3).tolist() == [(b"\xff\xfe",), ("é".encode(),), (None,)]
    with paiio.TableWriter(path) as writer:
        writer.write(texts)
    with paiio.TableReader(path) as reader:
        assert reader.read(9).tolist() == texts * 2


def test_closing(make_table: MakeTable) -> None:
    reader = paiio.TableReader(make_table("a bigint, b string", numbered(10)))
    reader.read(2)
    reader.close()
    reader.close()
    for use in (reader.read, reader.seek, reader.get_row_count, reader.get_schema, lambda: reader.read(0)):
        with pytest.raises(aiopaiio.ClosedError, match="closed"):
            use()
    assert "closed" in repr(reader)


def test_a_forgotten_reader_warns_and_lets_go(make_table: MakeTable) -> None:
    reader = paiio.TableReader(make_table("a bigint, b string", numbered(10)))
    reader.read()
    forgotten = [reader]
    del reader
    with pytest.warns(ResourceWarning, match="not closed"):
        forgotten.clear()


def test_errors_at_opening(make_table: MakeTable, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make_table("a bigint", partition="ds=1")
    for wrong, kind in (
        ("demo.t0", aiopaiio.TablePathError),
        (path + "?start=1&end=2?", aiopaiio.TablePathError),
        ("odps://demo/tables/nothing", aiopaiio.NoSuchTable),
        (path, aiopaiio.NoSuchPartition),
    ):
        with pytest.raises(kind):
            paiio.TableReader(wrong)
    monkeypatch.setenv("ODPS_CONFIG_FILE_PATH", "/nowhere/odps_config.ini")
    with pytest.raises(aiopaiio.ConfigError, match="ODPS_CONFIG_FILE_PATH"):
        paiio.TableReader(path)


async def test_reading_inside_a_running_loop(make_table: MakeTable) -> None:
    with paiio.TableReader(make_table("a bigint, b string", numbered(100))) as reader:
        assert list(reader) == numbered(100)


def test_one_reader_in_each_thread(make_table: MakeTable) -> None:
    path = make_table("a bigint, b string", numbered(5000))
    found: dict[int, list[Any]] = {}

    def read(slice_id: int) -> None:
        with paiio.TableReader(path, slice_id=slice_id, slice_count=4) as reader:
            found[slice_id] = list(reader)

    threads = [threading.Thread(target=read, args=(slice_id,)) for slice_id in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [row for slice_id in range(4) for row in found[slice_id]] == numbered(5000)


@pytest.mark.parametrize("reader_class", [paiio.TableReader, common_io.TableReader])
def test_threads_share_a_reader(make_table: MakeTable, reader_class: type[paiio.TableReader]) -> None:
    path = make_table("a bigint, b string", numbered(20_000))
    # Rows of two types, so that a window has rows that are not ready.
    with paiio.TableWriter(path) as writer:
        writer.write([(number, None if number % 7 else "x") for number in range(20_000, 21_000)])
    found: list[list[Any]] = []

    def read(counts: Iterator[int]) -> None:
        rows: list[Any] = []
        found.append(rows)
        try:
            while True:
                for row in reader.read(next(counts), allow_smaller_final_batch=True):
                    rows.append(row[0])
        except paiio.OutOfRangeException:
            pass

    counts = [itertools.repeat(1), itertools.repeat(1), itertools.repeat(7), itertools.cycle([1, 1000, 2])]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with reader_class(path, capacity=1500) as reader, ThreadPoolExecutor() as threads:
            list(threads.map(read, counts))
    finally:
        sys.setswitchinterval(interval)
    assert len(found) == 4
    assert sorted(itertools.chain(*found)) == list(range(21_000))
    # What one thread was given stands in order.
    assert all(rows == sorted(rows) for rows in found)


def test_a_reader_closed_while_another_thread_reads(service: LocalService, make_table: MakeTable) -> None:
    path = make_table("a bigint, b string", numbered(10))
    service.faults.add(Fault("read_rows", Stall(), when=lambda _: asked.set() or True))
    asked = threading.Event()
    with paiio.TableReader(path) as reader, ThreadPoolExecutor() as threads:
        reading = threads.submit(reader.read, 5)
        asked.wait()
        waiting = threads.submit(reader.read, 5)
        reader.close()
        for read in (reading, waiting):
            with pytest.raises(aiopaiio.ClosedError):
                read.result()


def test_a_signal_handler_does_not_wait_for_what_it_interrupted() -> None:
    turns = Turns()
    with pytest.raises(aiopaiio.BusyError):
        turns.run(turns.run, list)
    assert turns.run(list) == []


def test_rows_before_an_error_are_not_lost_and_a_seek_goes_on(service: LocalService, make_table: MakeTable) -> None:
    path = make_table("a bigint, b string", numbered(10))
    with paiio.TableWriter(path) as writer:
        writer.write(numbered(10))
    with paiio.TableReader(path, num_threads=1) as reader:
        service.faults.add(Fault("read_rows", Status(403, "NoPermission")))
        with pytest.raises(aiopaiio.AuthorizationError):
            reader.read(15)
        service.faults.clear()
        reader.seek(0)
        assert reader.read(20).tolist() == numbered(10) * 2


def test_an_interrupted_read_loses_no_row(service: LocalService, make_table: MakeTable) -> None:
    path = make_table("a bigint, b string", numbered(1000), "ds=1")
    with paiio.TableWriter(path.replace("ds=1", "ds=2")) as writer:
        writer.write(numbered(1000))
    blocked = threading.Event()

    def is_second_partition(operation: Operation) -> bool:
        if operation.query.get("partition") != "ds=2":
            return False
        blocked.set()
        return True

    service.faults.add(Fault("read_rows", Stall(), times=1, when=is_second_partition))

    def interrupt() -> None:
        blocked.wait()
        interrupt_main_thread()

    with interrupts(), paiio.TableReader(path + "&ds=2", num_threads=1) as reader:
        threading.Thread(target=interrupt).start()
        with pytest.raises(Interrupt):
            reader.read(1500)
        assert reader.read(1000).tolist() == numbered(1000)
        # A seek to another place lets go of the connection that is silent.
        reader.seek(500)
        assert reader.read(2000).tolist() == numbered(1000)[500:] + numbered(1000)
