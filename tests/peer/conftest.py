"""One service for the tests of a module, with PyODPS and both of our faces as clients; every test has own tables."""

from __future__ import annotations

import itertools
import os
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar
from unittest import mock

import odps
import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal
from odps.config import option_context
from odps.models import TableSchema
from odps.tunnel import TableTunnel

import aiopaiio
from aiopaiio.local import LocalService, serve

T = TypeVar("T")


@dataclass
class Peers:
    """A service and its clients."""

    service: LocalService
    odps: odps.ODPS
    tunnel: TableTunnel
    client: aiopaiio.Client
    portal: BlockingPortal
    _numbers: Any = field(default_factory=lambda: itertools.count(1))

    def wait(self, work: Callable[..., Awaitable[T]], *arguments: Any) -> T:
        """Run a coroutine function of ours in the client's loop."""
        return self.portal.call(work, *arguments)

    def new_table(self, types: Sequence[str], partition: str | None = None) -> str:
        """Make a table with columns ``c0``, ``c1``, ... of the types; returns its name."""
        name = f"t{next(self._numbers)}"
        names = [f"c{number}" for number in range(len(types))]
        keys = ([partition], ["string"]) if partition else (None, None)
        self.odps.create_table(name, TableSchema.from_lists(names, list(types), *keys))
        return name


@pytest.fixture(scope="module")
def peers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Peers]:
    """The service in a thread, its configuration file where ``paiio`` looks for it."""
    folder = tmp_path_factory.mktemp("peers")
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(serve(folder / "root")) as service,
        portal.wrap_async_context_manager(_client(service)) as client,
        mock.patch.dict(os.environ, ODPS_CONFIG_FILE_PATH=str(service.write_config(folder / "odps_config.ini"))),
        # PyODPS takes datetimes as local time and refuses those before 1928 unless it is told otherwise.
        option_context({"local_timezone": False, "allow_antique_date": True}),
    ):
        entry = odps.ODPS(service.access_id, service.access_key, "demo", endpoint=service.endpoint)
        # The endpoint is given because PyODPS remembers what it has found out for the whole process.
        yield Peers(service, entry, TableTunnel(entry, endpoint=service.tunnel_endpoint), client, portal)


def _client(service: LocalService) -> Any:
    return aiopaiio.Client(
        endpoint=service.endpoint, access_id=service.access_id, access_key=service.access_key, project="demo"
    )


def path_of(table: str, partition: str = "") -> str:
    """The path of a table of the project ``demo``."""
    return f"odps://demo/tables/{table}" + (f"/{partition}" if partition else "")
