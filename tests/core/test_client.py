"""The client: many tables, SQL, embedded service, closing."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

import aiopaiio
from aiopaiio import Client, errors
from aiopaiio.local import Fault, LocalService, Stall

from .conftest import NUMBERED, numbered


async def test_many_tables_at_once_each_in_row_order(client: Client, make_table) -> None:
    sizes = [0, 1, 5000, 20_000, 300]
    paths = [await make_table(NUMBERED, numbered(size) if size else None) for size in sizes]
    seen: dict[str, list[int]] = {path: [] for path in paths}
    async for path, batch in client.read_tables(paths, "id", tables_at_once=2, memory_limit_bytes=1 << 20):
        seen[path] += batch.column("id").to_pylist()
    assert [len(seen[path]) for path in paths] == sizes
    assert all(ids == list(range(len(ids))) for ids in seen.values())


async def test_no_more_tables_are_read_at_once_than_allowed(
    client: Client, make_table, local_service: LocalService
) -> None:
    paths = [await make_table(NUMBERED, numbered(10)) for _ in range(5)]
    asked: set[str] = set()
    stall = Fault("read_rows", Stall(), times=100, when=lambda operation: asked.add(operation.path) or True)
    local_service.faults.add(stall)
    tables = client.read_tables(paths, tables_at_once=2)
    reading = asyncio.create_task(anext(tables))
    # All sessions are made ahead; then nothing is left that could be waited for.
    while local_service.statistics.requests["create_download"] < 5 or len(asked) < 2:
        await asyncio.sleep(0)
    for _ in range(300):
        await asyncio.sleep(0)
    assert len(asked) == 2
    reading.cancel()
    await asyncio.wait([reading])
    await tables.aclose()


async def test_paths_come_back_as_they_were_given(client: Client, make_table) -> None:
    path = await make_table(NUMBERED, numbered(1), "ds=ü%")
    given = [path.replace("demo", "DEMO"), path + "/"]
    seen = {name async for name, _ in client.read_tables(", ".join(given))}
    assert seen == set(given)


async def test_an_error_in_one_table_stops_all(client: Client, make_table) -> None:
    path = await make_table(NUMBERED, numbered(10))
    with pytest.raises(errors.NoSuchTable, match="missing"):
        async for _ in client.read_tables([path, "odps://demo/tables/missing"]):
            pass


async def test_leaving_early_leaves_nothing_behind(client: Client, make_table) -> None:
    paths = [await make_table(NUMBERED, numbered(20_000, width=100)) for _ in range(3)]
    tables = client.read_tables(paths)
    async for _ in tables:
        break
    await tables.aclose()
    assert [t.get_name() for t in asyncio.all_tasks() if t.get_name().startswith("aiopaiio")] == []


async def test_no_tables(client: Client) -> None:
    assert [item async for item in client.read_tables([])] == []


async def test_sql_errors_are_typed(client: Client, connect) -> None:
    with pytest.raises(errors.ServerError, match="ODPS-0130161"):
        await client.execute_sql("select from where")
    with pytest.raises(errors.NoSuchTable):
        await client.execute_sql("drop table missing")
    async with connect(project=None) as other:
        with pytest.raises(errors.ConfigError, match="no project"):
            await other.execute_sql("drop table if exists t")


async def test_the_service_inside_the_client(tmp_path: Path) -> None:
    root = tmp_path / "warehouse"
    for expected in (0, 3):
        async with Client(endpoint=f"local:{root}", project="demo") as client:
            await client.execute_sql("create table if not exists t (a bigint)")
            async with client.open_reader("odps://demo/tables/t") as reader:
                assert reader.row_count == expected
            async with client.open_writer("odps://demo/tables/t") as writer:
                await writer.write([(1,), (2,), (3,)])
    assert "local:" in repr(client)
    assert [t.get_name() for t in asyncio.all_tasks() if t.get_name().startswith("aiopaiio")] == []


async def test_a_root_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    async with Client(endpoint=f"local:{tmp_path / 'file'}") as client:
        with pytest.raises(errors.ConfigError, match="file"):
            await client.open_reader("odps://demo/tables/t")


async def test_a_closed_client_says_so(client: Client) -> None:
    await client.aclose()
    await client.aclose()
    with pytest.raises(errors.ClosedError, match="client is closed"):
        await client.open_reader("odps://demo/tables/t")


async def test_a_client_that_was_never_used_closes(connect) -> None:
    async with connect() as client:
        assert "closed" not in repr(client)
    assert "closed" in repr(client)


async def test_secrets_do_not_show(connect, local_service) -> None:
    async with connect() as client:
        assert local_service.access_key not in repr(client)


def test_every_public_name_is_there() -> None:
    for name in aiopaiio.__all__:
        assert getattr(aiopaiio, name) is not None


async def test_what_takes_long_to_import_is_not_imported_in_the_loop(
    client: Client, make_table, local_service: LocalService, tmp_path: Path
) -> None:
    program = """
import asyncio, sys, threading
import aiopaiio

class Watch:
    def find_spec(self, name, path, target=None):
        if name == "odps":
            print("imported", "by the loop" if threading.current_thread() is threading.main_thread() else "by a thread")

async def main():
    endpoint, access_id, access_key, *paths = sys.argv[1:]
    async with aiopaiio.Client(endpoint=endpoint, access_id=access_id, access_key=access_key) as client:
        for path in paths:
            async with client.open_reader(path, "b") as reader:
                print("opened")

sys.meta_path.insert(0, Watch())
asyncio.run(main())
"""
    paths = [await make_table(f"a {text}, b bigint") for text in ("bigint", "decimal(4,2)", "array<bigint>")]
    with closing(sqlite3.connect(tmp_path / "root" / "metadata.sqlite3")) as database, database:
        database.execute("UPDATE definitions SET text = replace(text, 'decimal(4,2)', 'geometry')")
    keys = local_service.endpoint, local_service.access_id, local_service.access_key
    environment = os.environ | {"PYTHONPATH": str(Path(aiopaiio.__file__).parents[1])}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, *keys, *paths, stdout=subprocess.PIPE, env=environment
    )
    printed, _ = await process.communicate()
    assert printed.decode().splitlines() == ["opened", "imported by a thread", "opened", "opened"]
