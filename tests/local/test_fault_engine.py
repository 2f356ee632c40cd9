"""Every fault, seen by a bare HTTP client."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import aiohttp
import pyarrow as pa
import pytest

from aiopaiio import errors
from aiopaiio.compression import decompressor
from aiopaiio.local import (
    ExpireSession,
    Fault,
    FlipBit,
    LocalService,
    LoseAnswer,
    Refuse,
    ResetAfter,
    ResetUpload,
    ShortBody,
    SlowBody,
    Stall,
    Status,
    WrongRowCount,
)
from aiopaiio.local.faults import Action
from aiopaiio.record_decoder import RecordStreamDecoder
from aiopaiio.schema import Column, arrow_schema
from fixtures.signed_http import SignedHttp, arrow_body, ids_of, signed_http

ROWS = 20_000
ONE_ROW = pa.RecordBatch.from_arrays([pa.array([7], pa.int64())], schema=arrow_schema([Column("id", "bigint")]))
BROKEN = (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError, ConnectionError)


@pytest.fixture
async def http(local_service: LocalService) -> AsyncIterator[SignedHttp]:
    async with signed_http(local_service) as client:
        await client.fill(ROWS)
        yield client


def arm(http: SignedHttp, operation: str, action: Action, number: int | None = 1) -> None:
    http.service.faults.add(Fault(operation, action, number))


async def test_without_faults_everything_is_there(http: SignedHttp) -> None:
    answer = await http.read(await http.create_download(), 0, ROWS)
    assert ids_of(answer.body) == list(range(ROWS))
    assert http.service.faults.log == []


async def test_requests_are_counted_from_when_a_fault_is_added(http: SignedHttp) -> None:
    download = await http.create_download()
    await http.read(download, 0, 1)
    arm(http, "read_rows", Status(503, "ServiceUnavailable"), number=2)
    statuses = [(await http.read(download, 0, 1)).status for _ in range(4)]
    assert statuses == [200, 503, 200, 200]
    (fired,) = http.service.faults.log
    assert fired.number == 2
    assert fired.operation.name == "read_rows"
    assert fired.operation.query["downloadid"] == download


async def test_a_fault_may_happen_several_times_or_only_to_some_requests(http: SignedHttp) -> None:
    download = await http.create_download()
    http.service.faults.add(Fault("read_rows", Status(500), number=1, times=2))
    http.service.faults.add(
        Fault("read_rows", Status(502), number=2, when=lambda operation: "(7," in operation.query["rowrange"])
    )
    assert [(await http.read(download, start, 1)).status for start in (0, 7, 7, 0)] == [500, 500, 502, 200]


async def test_refuse(http: SignedHttp) -> None:
    arm(http, "create_download", Refuse())
    with pytest.raises(aiohttp.ServerDisconnectedError):
        await http.create_download()
    assert await http.create_download()


async def test_status_with_retry_after(http: SignedHttp) -> None:
    arm(http, "create_upload", Status(429, "FlowExceeded", retry_after_seconds=2))
    answer = await http("POST", f"{http.table}?uploads")
    assert answer.status == 429
    assert answer.headers["Retry-After"] == "2"
    assert json.loads(answer.body)["Code"] == "FlowExceeded"
    assert answer.headers["x-odps-request-id"]


async def test_status_as_from_a_proxy_has_no_body(http: SignedHttp) -> None:
    arm(http, "tunnel_lookup", Status(502))
    answer = await http("GET", "/api/projects/demo/tunnel?service")
    assert (answer.status, answer.body) == (502, b"")


async def test_stall_before_the_answer(http: SignedHttp) -> None:
    arm(http, "reload_download", Stall())
    download = await http.create_download()
    waiting = asyncio.create_task(http("GET", f"{http.table}?downloadid={download}"))
    done, _ = await asyncio.wait([waiting], timeout=0.2)
    assert not done
    waiting.cancel()


async def test_stall_in_the_body_then_go_on(http: SignedHttp) -> None:
    arm(http, "read_rows", Stall(seconds=0.05, after_bytes=1000))
    answer = await http.read(await http.create_download(), 0, ROWS)
    assert ids_of(answer.body) == list(range(ROWS))
    assert len(http.service.faults.log) == 1


@pytest.mark.parametrize("sent", [0, 1, 4, 5000, 70_000])
async def test_reset_after_exactly_so_many_bytes(http: SignedHttp, sent: int) -> None:
    download = await http.create_download()
    whole = await http.read(download, 0, ROWS)
    arm(http, "read_rows", ResetAfter(sent))
    answer = await http.read(download, 0, ROWS)
    assert isinstance(answer.broken, BROKEN)
    assert answer.body == whole.body[:sent]


async def test_reset_at_the_very_end_is_still_a_broken_body(http: SignedHttp) -> None:
    download = await http.create_download()
    whole = await http.read(download, 0, 10)
    arm(http, "read_rows", ResetAfter(len(whole.body)))
    answer = await http.read(download, 0, 10)
    assert answer.body == whole.body
    assert isinstance(answer.broken, BROKEN)


async def test_short_body_in_a_frame(http: SignedHttp) -> None:
    download = await http.create_download()
    whole = await http.read(download, 0, ROWS)
    arm(http, "read_rows", ShortBody(cut_at_bytes=70_001))
    answer = await http.read(download, 0, ROWS)
    assert answer.broken is None
    assert answer.body == whole.body[:70_001]


async def test_short_body_on_a_frame(http: SignedHttp) -> None:
    arm(http, "read_rows", ShortBody(frames=2))
    answer = await http.read(await http.create_download(), 0, ROWS)
    assert answer.broken is None
    assert len(answer.body) == 4 + 2 * (65536 + 4)
    with pytest.raises(errors.TruncatedStreamError):
        ids_of(answer.body)


async def test_short_body_on_a_record(http: SignedHttp) -> None:
    arm(http, "read_rows", ShortBody(rows=5))
    answer = await http.read(await http.create_download(), 0, ROWS, form="")
    assert answer.broken is None
    whole = await http.read(await http.create_download(), 0, 5, form="")
    assert 0 < len(answer.body) < len(whole.body)
    assert whole.body.startswith(answer.body)
    with pytest.raises(errors.TruncatedStreamError):
        RecordStreamDecoder([Column("id", "bigint")]).decode(answer.body)


@pytest.mark.parametrize("compressed", [False, True])
async def test_short_body_before_and_after_compression(http: SignedHttp, compressed: bool) -> None:
    download = await http.create_download()
    plain = await http.read(download, 0, ROWS)
    arm(http, "read_rows", ShortBody(cut_at_bytes=5000, compressed=compressed))
    answer = await http.read(download, 0, ROWS, headers={"Accept-Encoding": "zstd"})
    assert answer.headers["Content-Encoding"] == "zstd"
    assert answer.broken is None
    stream = decompressor("zstd")
    output = b"".join(stream.decompress(answer.body))
    if compressed:
        assert len(answer.body) == 5000
        with pytest.raises(errors.TruncatedStreamError):
            stream.finish()
    else:
        stream.finish()
        assert output == plain.body[:5000]


async def test_short_body_of_a_control_answer(http: SignedHttp) -> None:
    arm(http, "create_download", ShortBody(cut_at_bytes=10))
    answer = await http("POST", f"{http.table}?downloads")
    assert len(answer.body) == 10
    assert answer.headers["x-odps-request-id"]


@pytest.mark.parametrize("at_byte", [0, 3, 1000, 160_000])
async def test_flip_a_bit(http: SignedHttp, at_byte: int) -> None:
    download = await http.create_download()
    whole = await http.read(download, 0, ROWS)
    arm(http, "read_rows", FlipBit(at_byte, bit=3))
    answer = await http.read(download, 0, ROWS)
    different = [place for place, pair in enumerate(zip(whole.body, answer.body, strict=True)) if pair[0] != pair[1]]
    assert different == [at_byte]
    assert whole.body[at_byte] ^ answer.body[at_byte] == 8
    with pytest.raises(errors.DataError):
        ids_of(answer.body)


@pytest.mark.parametrize("delta", [-ROWS, -1, 1, 3])
async def test_wrong_row_count_with_right_checksums(http: SignedHttp, delta: int) -> None:
    arm(http, "read_rows", WrongRowCount(delta))
    answer = await http.read(await http.create_download(), 0, ROWS)
    expected = list(range(ROWS + min(delta, 0))) + [ROWS - 1] * max(delta, 0)
    assert ids_of(answer.body) == expected


async def test_an_expired_session_stays_expired(http: SignedHttp) -> None:
    download = await http.create_download()
    arm(http, "read_rows", ExpireSession(), number=2)
    codes = []
    for _ in range(3):
        answer = await http.read(download, 0, 1)
        codes.append(None if answer.status == 200 else json.loads(answer.body)["Code"])
    assert codes == [None, "NoSuchDownload", "NoSuchDownload"]
    reloaded = await http("GET", f"{http.table}?downloadid={download}")
    assert reloaded.status == 404
    assert (await http.read(await http.create_download(), 0, 1)).status == 200


async def test_a_lost_answer_to_a_commit_is_a_commit(http: SignedHttp) -> None:
    batch_body = arrow_body(ONE_ROW)
    upload = json.loads((await http("POST", f"{http.table}?uploads")).body)["UploadID"]
    await http("PUT", f"{http.table}?uploadid={upload}&blockid=0&arrow", body=batch_body)
    arm(http, "commit_upload", LoseAnswer())
    with pytest.raises(BROKEN):
        await http("POST", f"{http.table}?uploadid={upload}")
    again = await http("GET", f"{http.table}?uploadid={upload}")
    assert json.loads(again.body)["Status"] == "closed"
    assert json.loads((await http("POST", f"{http.table}?downloads")).body)["RecordCount"] == ROWS + 1


async def test_an_upload_that_is_reset_leaves_no_block(http: SignedHttp) -> None:
    upload = json.loads((await http("POST", f"{http.table}?uploads")).body)["UploadID"]
    # Twice, because aiohttp's client by itself repeats a PUT that got no answer.
    http.service.faults.add(Fault("put_block", ResetUpload(received_bytes=50), number=1, times=2))
    body = arrow_body(ONE_ROW)
    path = f"{http.table}?uploadid={upload}&blockid=0&arrow"
    with pytest.raises(BROKEN):
        await http("PUT", path, body=body)
    listed = await http("GET", f"{http.table}?uploadid={upload}")
    assert json.loads(listed.body)["UploadedBlockList"] == []
    assert (await http("PUT", path, body=body)).status == 200


async def test_a_slow_body(http: SignedHttp) -> None:
    download = await http.create_download()
    loop = asyncio.get_running_loop()
    arm(http, "read_rows", SlowBody(bytes_per_second=50_000))
    began = loop.time()
    answer = await http.read(download, 0, 1000)
    # A lower bound only: the body cannot come faster than that, whatever the machine does.
    assert loop.time() - began > 0.9 * (len(answer.body) / 50_000 - 0.02)
    assert ids_of(answer.body) == list(range(1000))


async def test_faults_can_be_disarmed(http: SignedHttp) -> None:
    arm(http, "*", Status(500), number=None)
    assert (await http("POST", f"{http.table}?downloads")).status == 500
    http.service.faults.clear()
    assert (await http("POST", f"{http.table}?downloads")).status == 200


def test_a_cut_needs_one_place() -> None:
    with pytest.raises(ValueError, match="exactly one"):
        ShortBody()
    with pytest.raises(ValueError, match="exactly one"):
        ShortBody(cut_at_bytes=1, frames=1)
    with pytest.raises(ValueError, match="compressed"):
        ShortBody(frames=1, compressed=True)
