"""SELECT, DESC and SHOW."""

from __future__ import annotations

import pyarrow as pa
import pytest

from aiopaiio.local.ddl import Message, ResultSet
from aiopaiio.local.storage import Store, TableName

DAYS = TableName("demo", None, "days")
PARTITIONS = ("ds=20240101,hh=2", "ds=20240101,hh=10", "ds=20240102,hh=2")


@pytest.fixture
def days(store: Store, run) -> None:
    """Three partitions, in each of which ``id`` is ten times the partition's number and one more."""
    run("create table days (id bigint, name string) partitioned by (ds string, hh bigint)")
    for number, partition in enumerate(PARTITIONS):
        upload = store.create_upload(DAYS, partition, create_partition=True)
        with store.open_block(upload.id, 0) as block:
            ids = [number * 10, number * 10 + 1]
            block.write(pa.record_batch([pa.array(ids), pa.array(map(str, ids))], names=["id", "name"]))
            block.commit()
        store.commit_upload(upload.id)


def rows(store: Store, result: Message | ResultSet) -> list[tuple[object, ...]]:
    assert isinstance(result, ResultSet)
    batches = store.read_rows(result.download.id, 0, result.download.row_count)
    return [tuple(row.values()) for batch in batches for row in batch.to_pylist()]


def test_all_columns_and_partition_columns(store: Store, run, days) -> None:
    result = run("SELECT * FROM demo.`days`")
    assert result.download.schema.names == ("id", "name", "ds", "hh")
    assert sorted(rows(store, result)) == [
        *((0, "0", "20240101", 2), (1, "1", "20240101", 2)),
        *((10, "10", "20240101", 10), (11, "11", "20240101", 10)),
        *((20, "20", "20240102", 2), (21, "21", "20240102", 2)),
    ]


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("ds='20240101' AND hh='10'", {10, 11}),
        ("hh=2", {0, 1, 20, 21}),
        ("hh<10", {0, 1, 20, 21}),
        ("ds >= '20240102'", {20, 21}),
        ("ds > '20240101' OR hh > 2", {10, 11, 20, 21}),
        ("NOT (ds = '20240101')", {20, 21}),
        ("ds <> '20240101'", {20, 21}),
        ("hh IN (2, 3)", {0, 1, 20, 21}),
        ("hh BETWEEN 3 AND 10", {10, 11}),
        ("DS = '20230101'", set()),
    ],
)
def test_conditions_on_partition_columns(store: Store, run, days, condition: str, expected: set[int]) -> None:
    assert {row[0] for row in rows(store, run(f"select id from days where {condition}"))} == expected


def test_columns_and_limit(store: Store, run, days) -> None:
    assert rows(store, run("select hh, `ID` from days where ds='20240102' limit 1;")) == [(2, 20)]
    assert rows(store, run("select * from days limit 0")) == []


def test_the_result_is_taken_when_the_statement_runs(store: Store, run, days) -> None:
    result = run("select id from days where hh=10")
    run("truncate table days")
    run("drop table days")
    assert rows(store, result) == [(10,), (11,)]


def test_desc_and_show(store: Store, run, days) -> None:
    text = run("DESC days").text
    assert "Owner: me" in text
    assert "RecordNum: 6" in text
    assert "ds | string | true" in text
    assert "PartitionRecordNum: 2" in run("desc days partition (ds='20240101', hh=10)").text
    assert run("show partitions demo.days").text.split() == [
        "ds=20240101/hh=10",
        "ds=20240101/hh=2",
        "ds=20240102/hh=2",
    ]
    assert run("SHOW PARTITIONS days PARTITION (ds='20240102')").text == "ds=20240102/hh=2"
    run("create table Other (a bigint)")
    assert run("show tables").text.split() == ["me:days", "me:other"]
    assert run("show tables like 'o*'").text == "me:other"
    assert run("show tables in elsewhere").text == ""
    assert run("show schemas").text == "default"
