"""Partitions and the ways to write one down."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from store_rows import refuses

from aiopaiio.local.storage import Store, TableName
from aiopaiio.local.storage.partition_values import full_values, key_of, values_of
from aiopaiio.schema import Column, TableSchema
from aiopaiio.table_path import PartitionSpec

SCHEMA = TableSchema((Column("a", "bigint"),), (Column("ds", "string"), Column("hh", "bigint")))


@pytest.mark.parametrize(
    "text",
    [
        "ds=20240101,hh=1",
        "ds='20240101',hh='01'",
        'DS="20240101" / HH=1',
        " hh = 1 , ds = 20240101 ",
        {"Ds": "20240101", "hh": "1"},
        PartitionSpec((("ds", "20240101"), ("hh", "01"))),
    ],
)
def test_every_way_to_write_a_partition_means_the_same(text) -> None:
    assert full_values(SCHEMA, text) == (("ds", "20240101"), ("hh", "1"))


def test_a_value_may_hold_separators() -> None:
    assert full_values(SCHEMA, "ds=a/b,c=d,hh=2") == (("ds", "a/b,c=d"), ("hh", "2"))


@pytest.mark.parametrize(
    "text", ["ds=1", "hh=1", "ds=1,hh=x", "ds=,hh=1", "ds=1,hh=1,zz=2", "ds", "ds=1,ds=2,hh=1", "ds=a\tb,hh=1", {}]
)
def test_an_incomplete_or_wrong_partition_is_refused(text) -> None:
    with refuses("InvalidPartitionSpec"):
        full_values(SCHEMA, text)


@given(st.lists(st.text(min_size=1), min_size=2, max_size=2))
def test_the_key_gives_the_values_back(texts: list[str]) -> None:
    values = tuple(zip(("ds", "hh"), texts, strict=True))
    assert values_of(SCHEMA, key_of(values)) == values


def test_add_get_drop(store: Store, days: TableName) -> None:
    added = store.add_partition(days, "ds=1,hh=02")
    assert (added.spec, added.quoted_spec) == ("ds=1,hh=2", "ds='1',hh='2'")
    assert store.get_partition(days, "hh='2',ds='1'") == added
    assert store.add_partition(days, "ds=1,hh=2", if_not_exists=True) == added
    with refuses("PartitionAlreadyExists"):
        store.add_partition(days, "ds=1,hh=2")
    store.drop_partition(days, "ds=1,hh=2")
    store.drop_partition(days, "ds=1,hh=2", if_exists=True)
    for call in (store.get_partition, store.drop_partition, store.truncate, store.create_download, store.create_upload):
        with refuses("NoSuchPartition"):
            call(days, "ds=1,hh=2")


def test_a_partitioned_table_needs_a_partition_and_another_none(
    store: Store, days: TableName, table: TableName
) -> None:
    for call in (store.create_download, store.create_upload):
        with refuses("MissingPartitionSpec"):
            call(days)
        with refuses("InvalidPartitionSpec"):
            call(table, "ds=1")


def test_partitions_are_listed_in_order_in_pages_and_by_leading_values(store: Store, days: TableName) -> None:
    for spec in ("ds=b,hh=1", "ds=a,hh=2", "ds=a,hh=1", "ds=c,hh=1"):
        store.add_partition(days, spec)

    def specs(**filters) -> list[str]:
        found, marker = [], ""
        while True:
            page, marker = store.list_partitions(days, marker=marker, limit=2, **filters)
            found += [partition.spec for partition in page]
            if not marker:
                return found

    assert specs() == ["ds=a,hh=1", "ds=a,hh=2", "ds=b,hh=1", "ds=c,hh=1"]
    assert specs(reverse=True) == ["ds=c,hh=1", "ds=b,hh=1", "ds=a,hh=2", "ds=a,hh=1"]
    assert specs(prefix="ds='a'") == ["ds=a,hh=1", "ds=a,hh=2"]
    assert specs(prefix="hh=1") == ["ds=a,hh=1", "ds=b,hh=1", "ds=c,hh=1"]
    assert specs(prefix="ds='zz'") == []


def test_a_partition_has_its_own_rows_size_and_time(store: Store, days: TableName, append, read_ids, clock) -> None:
    append(days, [1, 2], "ds=a,hh=1")
    clock.pass_hours(1)
    append(days, [3], "ds=b,hh=1")
    first, second = store.list_partitions(days)[0]
    assert (first.row_count, second.row_count, store.get_table(days).row_count) == (2, 1, 3)
    assert first.size > 0
    assert (first.modified, second.modified) == (clock.now - 3600, clock.now)
    assert read_ids(days, "ds=b,hh=1") == [3]
    store.truncate(days, "ds=a,hh=1")
    assert (read_ids(days, "ds=a,hh=1"), read_ids(days, "ds=b,hh=1")) == ([], [3])
    store.truncate(days)
    assert store.get_table(days).row_count == 0
    store.touch(days, "ds=a,hh=1")


def test_a_dropped_partition_comes_back_empty(store: Store, days: TableName, append, read_ids) -> None:
    append(days, [1], "ds=a,hh=1")
    store.drop_partition(days, "ds=a,hh=1")
    assert store.get_table(days).row_count == 0
    append(days, [2], "ds=a,hh=1")
    assert read_ids(days, "ds=a,hh=1") == [2]
