"""PyODPS's own client, unchanged, against the service."""

from __future__ import annotations

import datetime
import decimal
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from odps import ODPS, Monthdelta, errors
from odps.accounts import StsAccount
from odps.tunnel import CompressOption, TableTunnel

from aiopaiio.local import LocalService

pytestmark = [
    # PyODPS itself warns in places; it is not what is tested.
    pytest.mark.filterwarnings("default"),
]

COMPRESSIONS = [None, "zlib", "zstd", "snappy", "lz4"]


def rows_of(reader: Any) -> list[list[Any]]:
    return [list(record.values) for record in reader]


def make_table(odps: ODPS, schema: Any = "id bigint, name string") -> Any:
    return odps.create_table("t", schema)


def test_tables_are_made_listed_found_and_deleted(odps: ODPS) -> None:
    assert not odps.exist_table("t")
    made = odps.create_table("t", "id bigint, name string comment 'Ünïcode'", comment="a table", lifecycle=7)
    assert made.name == "t"
    odps.create_table("other", "x double")
    assert odps.exist_table("t")
    assert odps.exist_table("T")
    assert sorted(table.name for table in odps.list_tables()) == ["other", "t"]
    assert [table.name for table in odps.list_tables(prefix="ot")] == ["other"]
    table = odps.get_table("t")
    assert [(column.name, column.type.name) for column in table.table_schema] == [("id", "bigint"), ("name", "string")]
    assert table.table_schema["name"].comment == "Ünïcode"
    assert table.comment == "a table"
    assert table.lifecycle == 7
    odps.delete_table("t")
    assert not odps.exist_table("t")
    odps.delete_table("t", if_exists=True)
    with pytest.raises(errors.NoSuchTable):
        odps.delete_table("t")


def test_projects_exist_when_named(odps: ODPS) -> None:
    assert odps.exist_project("demo")
    assert odps.exist_project("another_one")
    assert odps.get_project("demo").owner
    odps.create_table("t", "id bigint", project="another_one")
    assert {project.name for project in odps.list_projects()} >= {"demo", "another_one"}
    assert not odps.exist_table("t")
    assert odps.exist_table("t", project="another_one")


@pytest.mark.parametrize("algorithm", COMPRESSIONS)
def test_records_are_written_and_read(odps: ODPS, algorithm: str | None) -> None:
    table = make_table(odps)
    rows = [[number, None if number % 7 == 0 else f"row {number}"] for number in range(5000)]
    option = {"compress_algo": algorithm} if algorithm else {}
    with table.open_writer(**option) as writer:
        writer.write(rows)
    with table.open_reader(**option) as reader:
        assert reader.count == 5000
        assert rows_of(reader) == rows
    with table.open_reader() as reader:
        assert rows_of(reader[4000:4003]) == rows[4000:4003]


@pytest.mark.parametrize("algorithm", COMPRESSIONS)
def test_arrow_is_written_and_read(odps: ODPS, algorithm: str | None) -> None:
    table = make_table(odps)
    batch = pa.RecordBatch.from_pydict({"id": list(range(5000)), "name": [None, "é", "", "x", "y"] * 1000})
    tunnel = TableTunnel(odps)
    option = CompressOption(algorithm and CompressOption.CompressAlgorithm[f"ODPS_{algorithm.upper()}"], 1)
    upload = tunnel.create_upload_session(table, compress_option=option if algorithm else None)
    with upload.open_arrow_writer(1, compress=algorithm is not None) as writer:
        writer.write(batch)
    upload.commit([1])
    download = tunnel.create_download_session(table, compress_option=option if algorithm else None)
    assert download.count == 5000
    with download.open_arrow_reader(0, download.count, compress=algorithm is not None) as reader:
        assert reader.read().to_pydict() == batch.to_pydict()


def test_arrow_writer_of_a_table_and_pandas(odps: ODPS) -> None:
    table = make_table(odps)
    frame = pd.DataFrame({"id": [1, 2, 3], "name": ["a", "b", "c"]})
    with table.open_writer(arrow=True) as writer:
        writer.write(pa.RecordBatch.from_pandas(frame))
    with table.open_reader(arrow=True) as reader:
        assert reader.to_pandas().to_dict("list") == frame.to_dict("list")
    with table.open_reader() as reader:
        assert reader.to_pandas().to_dict("list") == frame.to_dict("list")
    with table.open_reader(arrow=True, columns=["name"]) as reader:
        assert reader.to_pandas().to_dict("list") == {"name": ["a", "b", "c"]}
    with table.open_reader(columns=["name", "id"]) as reader:
        assert rows_of(reader)[0] == ["a", 1]


def test_partitions(odps: ODPS) -> None:
    table = odps.create_table("t", ("id bigint", "ds string, hh bigint"))
    table.create_partition("ds=20240101,hh=1")
    table.create_partition("ds=20240101,hh=1", if_not_exists=True)
    assert table.exist_partition("ds='20240101',hh=1")
    assert not table.exist_partition("ds=20240101,hh=2")
    with table.open_writer("ds=a b+c,hh=2", create_partition=True) as writer:
        writer.write([[1], [2]])
    with pytest.raises(errors.ODPSError):
        table.open_writer("ds=nowhere,hh=2")
    assert [str(partition.partition_spec) for partition in table.iterate_partitions()] == [
        "ds='20240101',hh='1'",
        "ds='a b+c',hh='2'",
    ]
    assert len(list(table.iterate_partitions("ds=20240101"))) == 1
    with table.open_reader("ds=a b+c,hh=2", append_partitions=True) as reader:
        assert rows_of(reader) == [[1, "a b+c", "2"], [2, "a b+c", "2"]]
    partition = table.get_partition("ds=a b+c,hh=2")
    assert partition.creation_time
    assert partition.size > 0
    table.delete_partition("ds=20240101,hh=1")
    assert len(list(table.partitions)) == 1
    with pytest.raises(errors.ODPSError, match="MissingPartitionSpec"):
        table.open_reader()


def test_overwrite_and_truncate(odps: ODPS) -> None:
    table = make_table(odps)
    for overwrite in (False, False, True):
        with table.open_writer(overwrite=overwrite) as writer:
            writer.write([[1, "a"]])
    with table.open_reader(reopen=True) as reader:
        assert reader.count == 1
    table.truncate()
    with table.open_reader(reopen=True) as reader:
        assert reader.count == 0
        assert rows_of(reader) == []
    with table.open_reader(reopen=True, arrow=True) as reader:
        assert reader.to_pandas().empty


@pytest.mark.parametrize("use_legacy", [False, True])
def test_head(odps: ODPS, use_legacy: bool) -> None:
    table = make_table(odps)
    with table.open_writer() as writer:
        writer.write([[number, None if number % 2 else 'é,"\n'] for number in range(100)])
    head = table.head(3, use_legacy=use_legacy)
    assert rows_of(head) == [[0, 'é,"\n'], [1, None], [2, 'é,"\n']]


def test_select(odps: ODPS) -> None:
    table = odps.create_table("t", ("id bigint, name string", "ds string"))
    with table.open_writer("ds=a", create_partition=True) as writer:
        writer.write([[number, None if number == 2 else "x"] for number in range(10)])
    instance = odps.execute_sql("SELECT * FROM t WHERE ds = 'a' LIMIT 3")
    expected = [[0, "x", "a"], [1, "x", "a"], [2, None, "a"]]
    with instance.open_reader(tunnel=True) as reader:
        assert reader.count == 3
        assert rows_of(reader) == expected
    with instance.open_reader(tunnel=True, arrow=True) as reader:
        assert reader.read_all().to_pandas()["id"].tolist() == [0, 1, 2]
    with instance.open_reader(tunnel=False) as reader:
        assert rows_of(reader) == [["0", "x", "a"], ["1", "x", "a"], ["2", None, "a"]]


def test_statements_that_are_not_served_say_so(odps: ODPS) -> None:
    with pytest.raises(errors.ParseError, match="ODPS-0130161"):
        odps.execute_sql("SELECT sum(id) FROM t GROUP BY name")
    with pytest.raises(errors.NoSuchTable):
        odps.execute_sql("SELECT * FROM nowhere")


def test_altering_a_table(odps: ODPS) -> None:
    table = make_table(odps)
    with table.open_writer() as writer:
        writer.write([[1, "a"]])
    table.add_columns("price double")
    table.set_lifecycle(5)
    table.touch()
    table.reload()
    assert table.lifecycle == 5
    with table.open_reader(reopen=True) as reader:
        assert rows_of(reader) == [[1, "a", None]]
    table.rename("u")
    assert odps.exist_table("u")
    assert not odps.exist_table("t")


@pytest.mark.parametrize("region", [None, "cn-shanghai"])
def test_signatures_with_and_without_a_region(threaded_service: LocalService, region: str | None) -> None:
    service = threaded_service
    odps = ODPS(service.access_id, service.access_key, "demo", endpoint=service.endpoint, region_name=region)
    make_table(odps)
    assert odps.exist_table("t")


def test_an_sts_account(threaded_service: LocalService) -> None:
    service = threaded_service
    account = StsAccount(service.access_id, service.access_key, service.security_token)
    odps = ODPS(account=account, project="demo", endpoint=service.endpoint)
    with make_table(odps).open_writer() as writer:
        writer.write([[1, "a"]])
    with odps.get_table("t").open_reader() as reader:
        assert reader.count == 1
    account = StsAccount(service.access_id, service.access_key, "another token")
    with pytest.raises(errors.ODPSError, match="security token"):
        ODPS(account=account, project="demo", endpoint=service.endpoint).exist_table("t")


def test_wrong_keys(threaded_service: LocalService) -> None:
    service = threaded_service
    with pytest.raises(errors.ODPSError, match="ODPS-0410042"):
        ODPS(service.access_id, "wrong", "demo", endpoint=service.endpoint).exist_table("t")
    with pytest.raises(errors.ODPSError, match="ODPS-0410051"):
        ODPS("nobody", service.access_key, "demo", endpoint=service.endpoint).exist_table("t")


ALL_TYPES: list[tuple[str, Any]] = [
    ("bigint", -(2**63) + 1),
    ("int", 2**31 - 1),
    ("smallint", -(2**15)),
    ("tinyint", 127),
    ("float", 1.5),
    ("double", -0.1),
    ("boolean", True),
    ("string", "é"),
    ("varchar(20)", "varchar"),
    ("char(5)", "abc"),
    ("binary", b"\x00\xff"),
    ("datetime", datetime.datetime(2024, 2, 29, 12, 30, 15, 123000)),
    ("date", datetime.date(1969, 12, 31)),
    ("timestamp", pd.Timestamp("2024-02-29 12:30:15.123456789")),
    ("timestamp_ntz", pd.Timestamp("1969-12-31 23:59:59.5")),
    ("decimal(10,2)", decimal.Decimal("-12345678.90")),
    ("decimal", decimal.Decimal("1.5")),
    ("json", {"a": [1, None]}),
    ("array<bigint>", [1, None]),
    ("map<string,bigint>", {"k": 2}),
    ("struct<a:string,b:array<bigint>>", ("x", [1])),
    ("interval_day_time", pd.Timedelta(days=1, nanoseconds=5)),
    ("interval_year_month", Monthdelta(13)),
]


def test_every_type_with_nulls_in_the_record_form(odps: ODPS) -> None:
    table = odps.create_table("t", _schema(ALL_TYPES))
    values = [value for _, value in ALL_TYPES]
    with table.open_writer() as writer:
        writer.write([values, [None] * len(values), values])
    with table.open_reader() as reader:
        got = rows_of(reader)
    assert len(got) == 3
    assert got[1] == [None] * len(values)
    for (name, value), cell in zip(ALL_TYPES, got[0], strict=True):
        expected = "abc  " if name == "char(5)" else value
        assert (tuple(cell) if name.startswith("struct") else cell) == expected, name


def test_every_arrow_type_with_nulls(odps: ODPS) -> None:
    held = [(name, value) for name, value in ALL_TYPES if name not in ("json", "interval_year_month")]
    table = odps.create_table("t", _schema(held))
    values = [value for _, value in held]
    with table.open_writer() as writer:
        writer.write([values, [None] * len(values)])
    with table.open_reader(arrow=True) as reader:
        first = reader.read_all()
    assert first.num_rows == 2
    # Written back as Arrow, it is the same again.
    with table.open_writer(arrow=True, overwrite=True) as writer:
        writer.write(first)
    with table.open_reader(arrow=True, reopen=True) as reader:
        again = reader.read_all()
    assert again.equals(first)
    assert all(column.null_count == 1 for column in again.columns)


def _schema(columns: list[tuple[str, Any]]) -> Any:
    from odps.models import TableSchema

    return TableSchema.from_lists([f"c{place}" for place in range(len(columns))], [name for name, _ in columns])
