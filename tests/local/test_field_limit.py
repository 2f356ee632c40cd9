"""How long a STRING or BINARY may be: 8 MiB as in the cloud, or what the service was started with."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Literal

import odps
import pytest
from anyio import to_thread
from odps.tunnel import TableTunnel

import aiopaiio
from aiopaiio.local import Limits, LocalService, serve

MIB = 1 << 20
TABLE = "odps://demo/tables/t"


async def client_of(service: LocalService) -> aiopaiio.Client:
    client = aiopaiio.Client(
        endpoint=service.endpoint, access_id=service.access_id, access_key=service.access_key, project="demo"
    )
    await client.execute_sql("create table t (id bigint, a string, b binary)")
    return client


@pytest.fixture
async def wide_service(tmp_path: Path) -> AsyncIterator[LocalService]:
    async with serve(tmp_path / "wide", limits=Limits(field_bytes=20 * MIB)) as service:
        yield service


def announced(service: LocalService) -> tuple[int, str]:
    """The two places where PyODPS finds the limit."""
    entry = odps.ODPS(service.access_id, service.access_key, "demo", endpoint=service.endpoint)
    session = TableTunnel(entry, endpoint=service.tunnel_endpoint).create_upload_session("t")
    return session.max_field_size, entry.get_project().get_property("odps.sql.cfile2.field.maxsize")


async def test_the_limit_is_announced(local_service: LocalService, wide_service: LocalService) -> None:
    for service, expected in ((local_service, (8 * MIB, "8192")), (wide_service, (20 * MIB, "20480"))):
        async with await client_of(service):
            assert await to_thread.run_sync(announced, service) == expected


@pytest.mark.parametrize("wire_form", ["arrow", "record"])
async def test_longer_values_are_refused(local_service: LocalService, wire_form: Literal["arrow", "record"]) -> None:
    async with await client_of(local_service) as client:
        with pytest.raises(aiopaiio.ServerError, match=f"{8 * MIB} are possible"):
            async with client.open_writer(TABLE, wire_form=wire_form) as writer:
                await writer.write((1, "x" * (8 * MIB + 1), b""))
        async with client.open_reader(TABLE) as reader:
            assert reader.row_count == 0


@pytest.mark.slow
@pytest.mark.parametrize("wire_form", ["arrow", "record"])
async def test_huge_values_where_they_are_allowed(
    wide_service: LocalService, wire_form: Literal["arrow", "record"]
) -> None:
    rows: list[tuple[Any, ...]] = [
        (0, "", b""),
        (1, "ä" * (10 * MIB), b"\xff" * (9 * MIB)),
        (2, "x", None),
        (3, "y" * (8 * MIB + 1), b"z" * (20 * MIB)),
        (4, None, b""),
    ]
    async with await client_of(wide_service) as client:
        async with client.open_writer(TABLE, wire_form=wire_form) as writer:
            await writer.write(rows)
        for read_form in ("arrow", "record"):
            async with client.open_reader(TABLE, wire_form=read_form, memory_limit_bytes=8 * MIB) as reader:
                # Not == on the whole, whose report of a difference would take minutes.
                records = await reader.read(10)
                assert [row == expected for row, expected in zip(records, rows, strict=True)] == [True] * 5
