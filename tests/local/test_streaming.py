"""Answers and blocks that stop half-way: back-pressure, clients that leave."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from pathlib import Path

import aiohttp
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from aiopaiio.local import Fault, Limits, LocalService, ShortBody, serve
from aiopaiio.local.row_pieces import RowForm, _record_steps, row_pieces
from aiopaiio.schema import Column
from fixtures.signed_http import SignedHttp, arrow_body, ids_of, signed_http

ROWS = 2_000_000  # 16 MB, more than the system keeps between two sockets when one end asks for small buffers


async def _stalled_download(http: SignedHttp) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A download whose client reads the first bytes and then nothing more."""
    path = f"{http.table}?data&arrow&downloadid={await http.create_download()}&rowrange=(0,{ROWS})"
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(sock, ("127.0.0.1", http.service.port))
    reader, writer = await asyncio.open_connection(sock=sock, limit=1024)
    lines = [f"GET {path} HTTP/1.1", f"Host: 127.0.0.1:{http.service.port}"]
    lines += [f"{name}: {value}" for name, value in http.headers("GET", path, {}).items()]
    writer.write("\r\n".join([*lines, "", ""]).encode())
    assert (await reader.readline()).startswith(b"HTTP/1.1 200")
    return reader, writer


async def _until_still(service: LocalService) -> int:
    """The bytes sent, once they have not grown for a while. Looking too early can only make a test pass."""
    seen, same = -1, 0
    while same < 10:
        await asyncio.sleep(0.01)
        sent = service.statistics.sent_bytes
        same = same + 1 if sent == seen else 0
        seen = sent
    return seen


async def test_a_client_that_does_not_read_stops_the_rows(local_service: LocalService) -> None:
    async with signed_http(local_service) as http:
        await http.fill(ROWS)
        _, writer = await _stalled_download(http)
        assert await _until_still(local_service) < 8 * ROWS // 2
        # Others are served meanwhile, more of them than there are worker threads.
        stalled = [await _stalled_download(http) for _ in range(20)]
        download = await http.create_download()
        assert ids_of((await http.read(download, 5, 2)).body) == [5, 6]
        for other in [writer, *(pair[1] for pair in stalled)]:
            other.close()
            with contextlib.suppress(ConnectionError):
                await other.wait_closed()


def test_rows_of_many_columns_are_on_their_way_while_others_are_made() -> None:
    columns = tuple(Column(f"c{number}", "double") for number in range(300))
    batch = pa.record_batch([pa.array(range(4000), pa.float64())] * len(columns), names=[c.name for c in columns])
    sizes = [sum(map(len, piece)) for piece in row_pieces([batch], RowForm(columns, arrow=False))]
    assert sizes[0] < sum(sizes) / 8
    assert len(sizes) > 3


def test_small_batches_are_encoded_together_while_they_are_not_wide() -> None:
    rows = pa.record_batch({"n": range(4000)})
    steps = list(_record_steps([rows.slice(start, 3) for start in range(0, 4000, 3)], columns=1))
    assert [step.num_rows for step in steps] == [2048, 1952]
    assert pa.Table.from_batches(steps).combine_chunks().to_batches() == [rows]
    wide = pa.record_batch({"s": ["x" * (8 << 20)]})
    assert [step.num_rows for step in _record_steps([wide] * 5, columns=1)] == [2, 2, 1]


@pytest.mark.slow  # 2 GiB of text
def test_texts_that_one_batch_cannot_hold_stay_in_two() -> None:
    def batch(width: int) -> pa.RecordBatch:
        bounds = pa.py_buffer(np.array([0, width], np.int32))
        return pa.record_batch(
            {"text": pa.StringArray.from_buffers(1, bounds, pa.py_buffer(np.zeros(width, np.uint8)))}
        )

    widths = [8 << 20, (1 << 31) - (4 << 20)]
    steps = list(_record_steps(map(batch, widths), 1))
    assert [pc.binary_length(step["text"]).to_pylist() for step in steps] == [[width] for width in widths]


async def test_a_client_that_leaves_gives_its_slot_back(tmp_path: Path) -> None:
    async with serve(tmp_path, limits=Limits(slots=1)) as service, signed_http(service) as http:
        await http.fill(ROWS)
        download = await http.create_download()
        _, writer = await _stalled_download(http)
        assert (await http.read(download, 0, 1)).status == 429
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
        while (await http.read(download, 0, 1)).status == 429:
            pass


async def test_a_client_that_leaves_in_an_upload_leaves_no_block(local_service: LocalService) -> None:
    async with signed_http(local_service) as http:
        batch = await http.fill(1000)
        upload = json.loads((await http("POST", f"{http.table}?uploads")).body)["UploadID"]
        body = arrow_body(batch)
        arrived = asyncio.Event()

        async def half() -> object:
            yield body[: len(body) // 2]
            arrived.set()
            await asyncio.Event().wait()

        path = f"{http.table}?uploadid={upload}&blockid=0&arrow"
        putting = asyncio.create_task(http("PUT", path, body=half()))
        await arrived.wait()
        putting.cancel()
        await asyncio.wait([putting])
        assert (await http("PUT", path.replace("blockid=0", "blockid=1"), body=body)).status == 200
        listed = json.loads((await http("GET", f"{http.table}?uploadid={upload}")).body)["UploadedBlockList"]
        assert [block["BlockID"] for block in listed] == [1]


async def test_rows_that_cannot_be_read_do_not_look_like_the_end(local_service: LocalService) -> None:
    async with signed_http(local_service) as http:
        await http.fill(ROWS)
        # A failure of the disk in the middle of an answer.
        store = local_service._running.store
        read_rows = store.read_rows

        def failing(*arguments: object) -> object:
            batches = read_rows(*arguments)  # type: ignore[arg-type]
            for _ in range(100):
                yield next(batches)
            raise OSError("the disk is gone")

        store.read_rows = failing  # type: ignore[method-assign,assignment]
        answer = await http.read(await http.create_download(), 0, ROWS)
        assert answer.status == 200
        assert isinstance(answer.broken, aiohttp.ClientPayloadError | ConnectionError)
        assert len(answer.body) < 8 * ROWS


async def test_faults_go_with_a_service_that_stops(tmp_path: Path) -> None:
    async with serve(tmp_path) as service, signed_http(service) as http:
        await http.fill(10)
        service.faults.add(Fault("read_rows", ShortBody(rows=1)))
    async with serve(tmp_path) as service, signed_http(service) as http:
        assert ids_of((await http.read(await http.create_download(), 0, 10)).body) == list(range(10))
