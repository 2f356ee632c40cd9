"""What users get wrong: each a clear typed error that names the culprit and says what to do."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pyarrow as pa
import pytest

from aiopaiio import Client, RetryPolicy, errors
from aiopaiio.local import LocalService

from .conftest import HASTY
from .expectations import HANG_SECONDS

T = "odps://demo/tables/t"
P = "odps://demo/tables/p"


@pytest.fixture
async def hasty(connect) -> Client:
    async with connect(retry=HASTY) as client:
        await client.execute_sql("create table t (id bigint, text string, n bigint not null)")
        await client.execute_sql("create table p (id bigint) partitioned by (ds string, hh string)")
        await client.execute_sql("alter table p add partition (ds='1', hh='2')")
        async with client.open_writer(T) as writer:
            await writer.write([(1, "a", 2)] * 5)
        yield client


async def complaint(opening: Any, error: type[errors.Error], *words: str) -> None:
    """Awaiting raises exactly ``error``, whose text has all ``words``."""
    with anyio.fail_after(HANG_SECONDS), pytest.raises(errors.Error) as raised:
        await opening
    assert type(raised.value) is error, repr(raised.value)
    for word in words:
        assert word in str(raised.value), str(raised.value)


@pytest.mark.parametrize(
    ("path", "word"),
    [
        ("", "does not begin with odps://"),
        ("t", "does not begin with odps://"),
        ("http://demo/tables/t", "does not begin with odps://"),
        ("odps://demo", "no /tables/TABLE"),
        ("odps://demo/tables/", "no /tables/TABLE"),
        ("odps:///tables/t", "not a name"),
        ("odps://demo/tables/../t", "not a name"),
        ("odps://demo/tables/t;drop", "'t;drop' is not a name"),
        ("odps://demo/tables/t/ds", "partition 'ds' is not of the form KEY=VALUE"),
        ("odps://demo/tables/t/ds=", "KEY=VALUE"),
        ("odps://demo/tables/t/=1", "KEY=VALUE"),
        ("odps://demo/tables/t?start=1", "malformed query"),
        ("odps://demo/tables/t?start=a&end=b", "malformed query"),
        ("odps://demo/tables/t?start=5&end=1", "0 <= start <= end"),
        ("odps://demo/tables/t?start=1&end=2?", "more than one '?'"),
        (None, "not NoneType"),
        (5, "not int"),
    ],
)
async def test_malformed_paths(hasty: Client, path: Any, word: str) -> None:
    for opener in (hasty.open_reader, hasty.open_writer):
        with pytest.raises(errors.TablePathError) as raised:
            await opener(path)
        assert word in str(raised.value)


async def test_what_does_not_exist(hasty: Client) -> None:
    for opener in (hasty.open_reader, hasty.open_writer):
        await complaint(opener("odps://demo/tables/nosuch"), errors.NoSuchTable, "demo.nosuch", "does not exist")
        await complaint(opener("odps://nosuch/tables/t"), errors.NoSuchTable, "nosuch.t", "does not exist")
        await complaint(opener("odps://demo/schemas/s/tables/t"), errors.NoSuchTable, "demo.s.t")
        await complaint(opener(P), errors.ServerError, "MissingPartitionSpec", "ds, hh", "KEY=VALUE", "path")
        await complaint(opener(f"{P}/ds=1"), errors.ServerError, "no value for hh")
        await complaint(opener(f"{P}/dt=1/hh=2"), errors.ServerError, "'dt' is not a partition column", "ds, hh")
        await complaint(opener(f"{T}/ds=1"), errors.ServerError, "not partitioned")
    await complaint(hasty.open_reader(f"{P}/ds=9/hh=9"), errors.NoSuchPartition, "demo.p", "ds=9,hh=9")
    await complaint(
        hasty.open_writer(f"{P}/ds=9/hh=9", create_partition=False), errors.NoSuchPartition, "demo.p", "ds=9,hh=9"
    )


async def test_columns(hasty: Client) -> None:
    read = hasty.open_reader
    await complaint(read(T, "id,txet"), errors.ColumnError, "'txet'", "did you mean 'text'", "id, text, n")
    await complaint(read(T, excluded_cols="zz"), errors.ColumnError, "'zz'", "id, text, n")
    await complaint(read(T, "id", "text"), errors.ColumnError, "selected_cols", "excluded_cols", "give one of them")
    await complaint(read(T, "id,id"), errors.ColumnError, "twice")
    await complaint(read(T, excluded_cols="id,text,n"), errors.ColumnError, "nothing is left")
    await complaint(read(T, 5), errors.ColumnError, "not by int")  # type: ignore[arg-type]
    await complaint(read(T, ["id", 2]), errors.ColumnError, "not by int 2")  # type: ignore[list-item]


async def test_slices_and_row_ranges(hasty: Client) -> None:
    read, write = hasty.open_reader, hasty.open_writer
    await complaint(read(T, slice_id=2, slice_count=2), errors.SliceError, "2 of 2", "count from 0")
    await complaint(read(T, slice_id=-1, slice_count=2), errors.SliceError, "slice_id", "-1")
    await complaint(read(T, slice_count=0), errors.SliceError, "slice_count must be at least 1")
    await complaint(read(T, slice_id="0"), errors.SliceError, "slice_id", "str")  # type: ignore[arg-type]
    await complaint(read(T, slice_count=1.5), errors.SliceError, "slice_count", "1.5")  # type: ignore[arg-type]
    await complaint(read(f"{T}?start=0&end=6"), errors.SliceError, "[0, 6)", "there are 5 rows")
    for path in (f"{T}?start=0&end=1", f"{P}/ds=1/hh=2&ds=1/hh=3"):
        with pytest.raises(errors.TablePathError, match="one table or partition, and no row range"):
            write(path)
    for wrong in (0, 1001):
        await complaint(hasty.create_upload(T, wrong), errors.SliceError, "1 to 1000", str(wrong))
    for slice_id in (-1, "a"):
        with pytest.raises(errors.SliceError, match="slice_id"):
            write(T, slice_id)  # type: ignore[arg-type]
    async with read(T) as reader:
        await complaint(reader.read(-1), errors.UsageError, "num_records", "-1")
        await complaint(reader.seek(-1), errors.SliceError, "offset", "-1")
        await complaint(reader.seek(6), errors.OutOfRange, "beyond the end", "5 rows")
        assert len(await reader.read(10)) == 5


def refused(opening: Callable[..., object], name: str, value: object) -> None:
    """An option that cannot be right, and the message says which and what it was."""
    with pytest.raises(errors.UsageError) as raised:
        opening(T, **{name: value})
    assert name.split("_")[0] in str(raised.value)
    assert str(value) in str(raised.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("concurrency", -1),
        ("concurrency", "4"),
        ("capacity_rows", -1),
        ("capacity_rows", 0.5),
        ("memory_limit_bytes", 0),
        ("memory_limit_bytes", -1),
        ("compression", "gzip"),
        ("wire_form", "json"),
    ],
)
async def test_options_of_a_reader(hasty: Client, name: str, value: object) -> None:
    refused(hasty.open_reader, name, value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("concurrency", -1),
        ("block_bytes", 0),
        ("block_bytes", -1),
        ("block_bytes", 1 << 60),
        ("compression", "gzip"),
        ("wire_form", "json"),
    ],
)
async def test_options_of_a_writer(hasty: Client, name: str, value: object) -> None:
    refused(hasty.open_writer, name, value)


async def test_options_of_a_client(hasty: Client, connect) -> None:
    for option, value in (("memory_limit_bytes", 0), ("read_timeout_seconds", 0), ("read_timeout_seconds", -1.0)):
        with pytest.raises(errors.UsageError, match=option):
            connect(**{option: value})
    with pytest.raises(errors.UsageError, match="outage_seconds"):
        RetryPolicy(outage_seconds=-1)
    for option in ("tables_at_once", "memory_limit_bytes"):
        with pytest.raises(errors.UsageError, match=option):
            async for _ in hasty.read_tables([T], **{option: 0}):
                pass


async def test_keys(hasty: Client, connect) -> None:
    for wrong, words in (
        ({"access_id": "nobody"}, ("ODPS-0410051", "check access_id")),
        ({"access_key": "wrong"}, ("ODPS-0410042", "check access_key")),
        ({"security_token": "wrong"}, ("token", "security_token")),
    ):
        async with connect(retry=HASTY, **wrong) as client:
            await complaint(client.open_reader(T), errors.AuthorizationError, *words, "request id")
            await complaint(client.open_writer(T), errors.AuthorizationError, *words)
            await complaint(client.execute_sql("show tables"), errors.AuthorizationError, *words)


@pytest.mark.slow
async def test_addresses(hasty: Client, connect, local_service: LocalService) -> None:
    for endpoint, error, words in (
        ("http://127.0.0.1:1/api", errors.ConnectFailed, ("cannot connect to 127.0.0.1:1", "check end_point")),
        ("http://nosuch.invalid/api", errors.ConnectFailed, ("nosuch.invalid", "check end_point")),
        (local_service.endpoint.replace("http", "https"), errors.CertificateError, ("TLS", "https")),
        (local_service.tunnel_endpoint, errors.ServerError, ("InvalidURI", "/api")),
    ):
        async with connect(retry=HASTY, endpoint=endpoint) as client:
            await complaint(client.open_reader(T), error, *words)
            await complaint(client.open_writer(T), error, *words)
    async with connect(retry=HASTY, tunnel_endpoint="127.0.0.1:1") as client:
        await complaint(client.open_reader(T), errors.ConnectFailed, "127.0.0.1:1")
    for endpoint in ("ftp://host/api", "http:///api", "http://host:99999/api", "http://host:abc/api", "local:"):
        with pytest.raises(errors.ConfigError) as raised:
            connect(endpoint=endpoint)
        assert endpoint in str(raised.value)


@pytest.fixture
def bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import os

    for name in list(os.environ):
        if name.startswith(("ODPS_", "ALIBABA_", "ACCESS_", "END_POINT")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.mark.usefixtures("bare_environment")
def test_configuration_files(tmp_path: Path) -> None:
    for text, words in (
        ("access_id=a\nend_point=http://h/api\n", ("no access_key", "file.ini", "ODPS_ACCESS_KEY")),
        ("access_key=a\nend_point=http://h/api\n", ("no access_id", "file.ini")),
        ("access_id=a\naccess_key=b\n", ("no end_point", "file.ini", "ODPS_ENDPOINT")),
        ("", ("no end_point",)),
    ):
        (tmp_path / "file.ini").write_text(text)
        with pytest.raises(errors.ConfigError) as raised:
            Client(tmp_path / "file.ini")
        assert all(word in str(raised.value) for word in words), str(raised.value)
    with pytest.raises(errors.ConfigError, match="ODPS_CONFIG_FILE_PATH"):
        Client()
    with pytest.raises(errors.ConfigError, match=r"nosuch.*cannot be read: No such file"):
        Client(tmp_path / "nosuch")
    with pytest.raises(errors.ConfigError, match="cannot be read"):
        Client(tmp_path)
    (tmp_path / "file.ini").write_bytes(b"\xff\xfe\0")
    with pytest.raises(errors.ConfigError, match="not UTF-8"):
        Client(tmp_path / "file.ini")


async def test_a_local_folder_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    async with Client(endpoint=f"local:{tmp_path / 'file'}", project="demo") as client:
        await complaint(client.execute_sql("show tables"), errors.ConfigError, "end_point=local:", "file")


async def test_lock_folder_that_cannot_be_used(hasty: Client, tmp_path: Path, monkeypatch) -> None:
    for name in ("aiopaiio", f"aiopaiio-{os.getuid()}"):
        (tmp_path / name).write_text("")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    await complaint(hasty.open_writer(T), errors.ConfigError, "lock", "XDG_RUNTIME_DIR", "TMPDIR")


async def test_statements(hasty: Client, connect) -> None:
    await complaint(hasty.execute_sql("creat tabel"), errors.ServerError, "ODPS-0130161", "Parse exception")
    await complaint(hasty.execute_sql("create table t (a bigint)"), errors.ServerError, "already exists")
    async with connect(project=None) as client:
        await complaint(client.execute_sql("show tables"), errors.ConfigError, "no project", "project_name")


@pytest.mark.parametrize(
    ("values", "indices", "error", "words"),
    [
        (("x", "a", 1), None, errors.ValueTypeError, ("row 0", "'id'", "BIGINT", "not a whole number")),
        ([(1, "a", 1), (2, True, 1)], None, errors.ValueTypeError, ("row 1", "'text'", "STRING", "str()")),
        ((1, "a", 1.5), None, errors.ValueTypeError, ("'n'", "not a whole number")),
        ((1, "a", None), None, errors.ValueTypeError, ("'n'", "NOT NULL")),
        ((2**63, "a", 1), None, errors.ValueTypeError, ("'id'", "range")),
        ((object(), "a", 1), None, errors.ValueTypeError, ("'id'", "object")),
        ((1, "a", 2, 3), None, errors.ValueTypeError, ("4 cells", "3 columns")),
        ([(1, "a", 2), (1,)], None, errors.ValueTypeError, ("row 1", "1 cells")),
        (5, None, errors.ValueTypeError, ("not int",)),
        ("abc", None, errors.ValueTypeError, ("not str",)),
        ({"id": 1}, None, errors.ValueTypeError, ("not dict",)),
        ((1,), (9,), errors.ColumnError, ("no column 9", "0 to 2")),
        ((1, 2), (0, 0), errors.ColumnError, ("twice",)),
        ((1,), (0, 1), errors.ValueTypeError, ("1 cells", "2 columns")),
    ],
)
async def test_values(hasty: Client, values: Any, indices: Any, error: type[errors.Error], words: list[str]) -> None:
    async with hasty.open_writer(T) as writer:
        await complaint(writer.write(values, indices), error, *words)
        assert writer.rows_written == 0
    async with hasty.open_reader(T) as reader:
        assert reader.row_count == 5


async def test_batches(hasty: Client) -> None:
    async with hasty.open_writer(T) as writer:
        for batch, error, words in (
            (5, errors.ValueTypeError, ("pyarrow.RecordBatch", "not int", "write() takes rows")),
            (pa.table({"zz": [1]}), errors.SchemaMismatchError, ("'zz'", "id, text, n")),
            (pa.table({"id": ["x"], "n": [1]}), errors.SchemaMismatchError, ("'id'", "BIGINT")),
            (pa.table({"id": [1.5], "n": [1]}), errors.SchemaMismatchError, ("'id'", "without loss")),
            (pa.table({"id": [1]}), errors.ValueTypeError, ("'n'", "NOT NULL")),
            (pa.table([pa.array([1]), pa.array([2])], names=["id", "ID"]), errors.SchemaMismatchError, ("twice",)),
        ):
            await complaint(writer.write_batch(batch), error, *words)
