"""A service that prepares a download session for a while before it knows the rows, as large tables make it do."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from aiopaiio import Client, RetryPolicy, errors

READY = {
    "DownloadID": "d1",
    "Status": "normal",
    "RecordCount": 7,
    "Schema": {"columns": [{"name": "id", "type": "bigint"}], "partitionKeys": []},
}


class SlowToPrepare:
    """Answers "initiating" to the first ``polls`` questions for a session."""

    def __init__(self, polls: float) -> None:
        self.polls = polls

    async def answer(self, request: web.Request) -> web.Response:
        if request.method == "GET":
            assert request.query["downloadid"] == "d1"
            self.polls -= 1
        return web.json_response(READY if self.polls <= 0 else {"DownloadID": "d1", "Status": "Initiating"})


@pytest.fixture
async def serve_slowly() -> AsyncIterator:
    servers = []

    async def serve(polls: float) -> str:
        application = web.Application()
        application.router.add_route("*", "/projects/demo/tables/t", SlowToPrepare(polls).answer)
        servers.append(TestServer(application))
        await servers[-1].start_server()
        return str(servers[-1].make_url("")).rstrip("/")

    yield serve
    for server in servers:
        await server.close()


def client_of(address: str, **policy: float) -> Client:
    return Client(
        endpoint=f"{address}/api",
        tunnel_endpoint=address,
        access_id="id",
        access_key="key",
        retry=RetryPolicy(**policy),
    )


async def test_the_rows_are_known_once_it_is_ready(serve_slowly) -> None:
    async with client_of(await serve_slowly(2)) as client, client.open_reader("odps://demo/tables/t") as reader:
        assert reader.row_count == 7


async def test_it_is_not_waited_for_without_end(serve_slowly) -> None:
    async with client_of(await serve_slowly(float("inf")), throttle_seconds=0.2) as client:
        with pytest.raises(errors.TransportTimeout, match="still preparing"):
            await client.open_reader("odps://demo/tables/t")
