"""Wire forms, compressions, partitions, overwriting: PyODPS on the one side and this library on the other."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from urllib.parse import quote, unquote

import pyarrow as pa
import pytest
from odps.tunnel import CompressOption

from aiopaiio.reader import WireForm
from paiio import python_io

from .conftest import Peers, path_of

pytestmark = pytest.mark.filterwarnings("ignore::Warning:odps", "ignore::Warning:pandas")

TYPES = ["bigint", "string", "decimal(10,2)", "array<bigint>"]
ROWS = [
    [number, None if number % 7 == 0 else f"täxt {number}" * (number % 5), Decimal(number) / 4, [number, None]]
    for number in range(3000)
]
BATCH = pa.record_batch(
    [
        pa.array(column, kind)
        for column, kind in zip(
            zip(*ROWS, strict=True),
            [pa.int64(), pa.string(), pa.decimal128(10, 2), pa.list_(pa.int64())],
            strict=True,
        )
    ],
    names=["c0", "c1", "c2", "c3"],
)

# PyODPS's name of each compression beside ours.
COMPRESSIONS = {"raw": None, "zlib": "deflate", "zstd": "zstd", "lz4": "lz4", "snappy": "snappy"}
WITH_QUICK_ONES = [
    pytest.param(name, marks=[] if name in ("raw", "zstd") else pytest.mark.slow) for name in COMPRESSIONS
]
FORMS: tuple[WireForm, ...] = ("arrow", "record")


def pyodps_option(name: str) -> CompressOption | None:
    return None if name == "raw" else CompressOption(CompressOption.CompressAlgorithm[f"ODPS_{name.upper()}"], 1)


async def read(peers: Peers, path: str, **options: Any) -> list[list[Any]]:
    async with peers.client.open_reader(path, **options) as reader:
        batches = [batch async for batch in reader]
    return rows_of(batches)


def rows_of(batches: list[pa.RecordBatch]) -> list[list[Any]]:
    rows: list[list[Any]] = []
    for batch in batches:
        rows.extend(map(list, zip(*[column.to_pylist() for column in batch.columns], strict=True)))
    return rows


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("compression", WITH_QUICK_ONES)
def test_compressed_by_pyodps(peers: Peers, compression: str, form: WireForm) -> None:
    table = peers.new_table(TYPES)
    option = pyodps_option(compression)
    session = peers.tunnel.create_upload_session(table, compress_option=option)
    # A block of its own: what PyODPS gathers in Arrow form it loses when it compresses by anything but snappy.
    if form == "arrow":
        with session.open_arrow_writer(0, compress=option is not None) as writer:
            writer.write(BATCH)
    else:
        with session.open_record_writer(0, compress=option is not None) as writer:
            for row in ROWS:
                writer.write(session.new_record(row))
    session.commit([0])

    async def read_all() -> None:
        for own_form in FORMS:
            for own_compression in COMPRESSIONS.values():
                options = {"wire_form": own_form, "compression": own_compression}
                assert await read(peers, path_of(table), **options) == ROWS, options

    peers.wait(read_all)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("compression", WITH_QUICK_ONES)
def test_compressed_by_us(peers: Peers, compression: str, form: WireForm) -> None:
    table = peers.new_table(TYPES)

    async def write() -> None:
        options: dict[str, Any] = {"wire_form": form, "compression": COMPRESSIONS[compression]}
        async with peers.client.open_writer(path_of(table), **options) as writer:
            await writer.write(ROWS[:1000])
            await writer.write_batch(BATCH.slice(1000))

    peers.wait(write)
    for name in COMPRESSIONS:
        option = pyodps_option(name)
        session = peers.tunnel.create_download_session(table, compress_option=option)
        with session.open_record_reader(0, session.count, compress=option is not None) as reader:
            assert [record.values for record in reader] == ROWS, name
        with session.open_arrow_reader(0, session.count, compress=option is not None) as reader:
            assert rows_of(list(reader)) == ROWS, name


def test_partitions_made_by_pyodps(peers: Peers) -> None:
    table = peers.new_table(["bigint"], partition="pt")
    values = ("20240101", "a b+c", "ü%")
    for value in values:
        with peers.odps.get_table(table).open_writer(f"pt={value}", create_partition=True) as writer:
            writer.write([[number] for number in range(len(value))])

    async def read_each() -> dict[str, list[list[Any]]]:
        paths = [path_of(table, f"pt={quote(value)}") for value in values]
        rows: dict[str, list[list[Any]]] = {}
        async for path, batch in peers.client.read_tables(paths, "pt,c0"):
            rows.setdefault(unquote(path), []).extend(rows_of([batch]))
        return rows

    rows = peers.wait(read_each)
    assert rows == {
        path_of(table, f"pt={value}"): [[value, number] for number in range(len(value))] for value in values
    }


def test_partitions_made_by_us(peers: Peers) -> None:
    table = peers.new_table(["bigint"], partition="pt")
    for value in ("20240101", "a b"):
        with python_io.TableWriter(path_of(table, f"pt={value}")) as writer:
            writer.write([(number,) for number in range(len(value))], [0])
    made = peers.odps.get_table(table)
    assert sorted(str(partition.partition_spec) for partition in made.partitions) == ["pt='20240101'", "pt='a b'"]
    for value in ("20240101", "a b"):
        with made.open_reader(f"pt={value}", append_partitions=True) as reader:
            assert [record.values for record in reader] == [[number, value] for number in range(len(value))]


def test_appending_and_overwriting_in_turn(peers: Peers) -> None:
    table = peers.new_table(["bigint"])
    made = peers.odps.get_table(table)

    async def ours(values: list[int], **options: Any) -> None:
        async with peers.client.open_writer(path_of(table), **options) as writer:
            await writer.write([(value,) for value in values])

    def theirs(values: list[int], **options: Any) -> None:
        with made.open_writer(reopen=True, **options) as writer:
            writer.write([[value] for value in values])

    def all_see(expected: list[int]) -> None:
        rows = [[value] for value in expected]
        assert peers.wait(read, peers, path_of(table)) == rows
        with made.open_reader(reopen=True) as reader:
            assert [record.values for record in reader] == rows

    theirs([1, 2])
    peers.wait(ours, [3])
    all_see([1, 2, 3])

    async def overwrite() -> None:
        await ours([4, 5], overwrite=True)

    peers.wait(overwrite)
    all_see([4, 5])
    theirs([6])
    all_see([4, 5, 6])
    theirs([7], overwrite=True)
    all_see([7])
    peers.wait(ours, [])
    all_see([7])


def test_a_session_of_pyodps_keeps_its_rows_while_we_write(peers: Peers) -> None:
    table = peers.new_table(["bigint"])
    made = peers.odps.get_table(table)
    with made.open_writer() as writer:
        writer.write([[number] for number in range(100)])
    session = peers.tunnel.create_download_session(table)
    with python_io.TableWriter(path_of(table), overwrite=True) as own_writer:
        own_writer.write([(number,) for number in range(1000, 1005)], [0])
    with session.open_record_reader(0, session.count) as reader:
        assert [record[0] for record in reader] == list(range(100))
    with python_io.TableReader(path_of(table)) as own_reader:
        assert own_reader.get_row_count() == 5


@pytest.mark.parametrize("form", FORMS)
def test_slices_of_what_pyodps_wrote_in_blocks(peers: Peers, form: WireForm) -> None:
    table = peers.new_table(["bigint", "string"])
    session = peers.tunnel.create_upload_session(table)
    rows = [[number, f"row {number}"] for number in range(1000)]
    # Sent out of order: blocks become rows in the order of their numbers.
    for block in (2, 0, 1):
        with session.open_record_writer(block) as writer:
            for row in rows[block * 400 : (block + 1) * 400]:
                writer.write(session.new_record(row))
    session.commit([0, 1, 2])

    async def slices() -> list[list[Any]]:
        found = []
        for slice_id in range(3):
            async with peers.client.open_reader(path_of(table), None, None, slice_id, 3, wire_form=form) as reader:
                batches = [batch async for batch in reader]
                assert sum(batch.num_rows for batch in batches) == reader.row_count
                found += rows_of(batches)
        return found

    assert peers.wait(slices) == rows


def test_pandas_of_what_we_wrote(peers: Peers) -> None:
    table = peers.new_table(["bigint", "string", "double"])
    rows = [(1, "a", 0.5), (2, None, -1.0), (3, "ü", None)]
    with python_io.TableWriter(path_of(table)) as writer:
        writer.write(rows, (0, 1, 2))
    for arrow in (False, True):
        with peers.odps.get_table(table).open_reader(reopen=True, arrow=arrow) as reader:
            frame = reader.to_pandas()
        assert frame["c0"].tolist() == [1, 2, 3]
        assert [None if cell != cell else cell for cell in frame["c1"].tolist()] == ["a", None, "ü"]
        assert [None if cell != cell else cell for cell in frame["c2"].tolist()] == [0.5, -1.0, None]


def test_columns_are_chosen_in_any_order_by_both(peers: Peers) -> None:
    table = peers.new_table(TYPES)
    with peers.odps.get_table(table).open_writer() as writer:
        writer.write(ROWS[:10])
    for form in FORMS:
        options = {"selected_cols": "C2,c0", "wire_form": form}
        got = peers.wait(lambda options=options: read(peers, path_of(table), **options))
        assert got == [[row[2], row[0]] for row in ROWS[:10]]
    with peers.odps.get_table(table).open_reader(columns=["c2", "c0"], reopen=True) as reader:
        assert [record.values for record in reader] == [[row[2], row[0]] for row in ROWS[:10]]
