"""Bounds on what a request may ask for, and the quotas of the real service."""

from __future__ import annotations

import json
import zlib
from collections.abc import AsyncIterator
from pathlib import Path

import pyarrow as pa
import pytest

from aiopaiio.local import Fault, Faults, Limits, LocalService, Stall, serve
from aiopaiio.local.answers import Refused
from aiopaiio.local.limits import Quotas
from aiopaiio.record_decoder import RecordStreamDecoder
from aiopaiio.record_encoder import RecordStreamEncoder
from aiopaiio.schema import Column, arrow_schema
from fixtures.signed_http import SignedHttp, arrow_body, ids_of, signed_http

ID = [Column("id", "bigint")]


def batch_of(values: list[int | None]) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays([pa.array(values, pa.int64())], schema=arrow_schema(ID))


@pytest.fixture
async def http(local_service: LocalService) -> AsyncIterator[SignedHttp]:
    async with signed_http(local_service) as client:
        await client.fill(10)
        yield client


async def code(answer: object) -> str:
    return str(json.loads(answer.body)["Code"])  # type: ignore[attr-defined]


async def upload_of(http: SignedHttp) -> str:
    return str(json.loads((await http("POST", f"{http.table}?uploads")).body)["UploadID"])


def test_sessions_per_five_minutes() -> None:
    now = 0.0
    quotas = Quotas(Limits(sessions_per_5_minutes=2), clock=lambda: now)
    quotas.new_session("a")
    now = 100
    quotas.new_session("a")
    quotas.new_session("b")
    now = 250
    with pytest.raises(Refused) as refused:
        quotas.new_session("a")
    assert (refused.value.code, refused.value.status, refused.value.retry_after_seconds) == ("FlowExceeded", 429, 50)
    now = 300
    quotas.new_session("a")


def test_slots_are_given_back() -> None:
    quotas = Quotas(Limits(slots=1))
    with quotas.slot(), pytest.raises(Refused) as refused, quotas.slot():
        pass
    assert (refused.value.code, refused.value.status) == ("SlotExceeded", 429)
    with quotas.slot():
        pass


async def test_quotas_over_the_wire(tmp_path: Path) -> None:
    async with serve(tmp_path, limits=Limits(sessions_per_5_minutes=2)) as service, signed_http(service) as http:
        await http.fill(1)
        await http.create_download()
        answer = await http("POST", f"{http.table}?downloads")
        assert answer.status == 429
        assert int(answer.headers["Retry-After"]) > 200


async def test_a_client_that_does_not_read_is_dropped(tmp_path: Path) -> None:
    faults = Faults([Fault("read_rows", Stall(after_bytes=10))])
    limits = Limits(idle_close_seconds=0.1)
    async with serve(tmp_path, limits=limits, faults=faults) as service, signed_http(service) as http:
        await http.fill(10)
        answer = await http.read(await http.create_download(), 0, 10)
        assert answer.broken is not None


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("rowrange=(0,-1)", "InvalidRowRange"),
        ("rowrange=(-1,1)", "InvalidRowRange"),
        ("rowrange=0,1", "InvalidRowRange"),
        ("rowrange=(0,9999999999999999999999)", "InvalidRowRange"),
        ("", "InvalidRowRange"),
        ("rowrange=(0,1)&columns=nope", "InvalidColumnSpec"),
        ("rowrange=(0,1)&columns=id,ID", "InvalidColumnSpec"),
    ],
)
async def test_reads_that_are_refused(http: SignedHttp, query: str, expected: str) -> None:
    answer = await http("GET", f"{http.table}?data&arrow&downloadid={await http.create_download()}&{query}")
    assert answer.status == 400
    assert await code(answer) == expected


async def test_row_ranges_are_clipped(http: SignedHttp) -> None:
    download = await http.create_download()
    assert ids_of((await http.read(download, 8, 100)).body) == [8, 9]
    assert (await http.read(download, 10, 1)).body == bytes.fromhex("00010000 00000000")
    assert (await http.read(download, 500, 1, form="")).body[:5] == bytes.fromhex("f0ffff7f 00")


async def test_a_session_of_another_table(http: SignedHttp) -> None:
    download = await http.create_download()
    await http.run_sql("CREATE TABLE u (id bigint)")
    answer = await http("GET", f"/projects/demo/tables/u?data&arrow&downloadid={download}&rowrange=(0,1)")
    assert answer.status == 404
    assert await code(answer) == "NoSuchDownload"


async def test_metrics_only_for_clients_that_can_read_them(http: SignedHttp) -> None:
    download = await http.create_download()
    sizes = {}
    for version in ("", "5", "6", "x"):
        headers = {"x-odps-tunnel-version": version} if version else {}
        body = (await http.read(download, 0, 10, form="", headers=headers)).body
        assert (b"ServerTotalCost" in body) is (version == "6")
        assert RecordStreamDecoder(ID).decode(body).num_rows == 10
        sizes[version] = len(body)
    assert sizes[""] == sizes["5"] == sizes["x"] < sizes["6"]


@pytest.mark.parametrize("encoding", ["gzip", "br", "nonsense"])
async def test_encodings_that_are_not_known(http: SignedHttp, encoding: str) -> None:
    path = f"{http.table}?uploadid={await upload_of(http)}&blockid=0&arrow"
    answer = await http("PUT", path, body=b"", headers={"Content-Encoding": encoding})
    assert answer.status == 415
    assert (await http.read(await http.create_download(), 0, 1, headers={"Accept-Encoding": "br"})).status == 400


async def test_lists_of_encodings_are_a_librarys_default(http: SignedHttp) -> None:
    answer = await http.read(await http.create_download(), 0, 10, headers={"Accept-Encoding": "gzip, deflate"})
    assert "Content-Encoding" not in answer.headers
    assert len(ids_of(answer.body)) == 10


@pytest.mark.parametrize("block", ["-1", "20000", "x", "", "99999999999999999999999999"])
async def test_block_ids(http: SignedHttp, block: str) -> None:
    path = f"{http.table}?uploadid={await upload_of(http)}&arrow&blockid={block}"
    answer = await http("PUT", path, body=arrow_body(batch_of([1])))
    assert answer.status == 400
    assert await code(answer) == "InvalidBlockID"


async def test_damaged_blocks_leave_nothing(http: SignedHttp) -> None:
    good = arrow_body(batch_of([1, 2, 3]))
    upload = await upload_of(http)
    path = f"{http.table}?uploadid={upload}&blockid=0&arrow"
    flipped = bytearray(good)
    flipped[100] ^= 1
    for body in (good[:-1], good[:-10], bytes(flipped), good + b"x", b"\x00\x01"):
        answer = await http("PUT", path, body=body)
        assert answer.status == 400
        assert await code(answer) == "MalformedDataStream"
    listed = await http("GET", f"{http.table}?uploadid={upload}")
    assert json.loads(listed.body)["UploadedBlockList"] == []
    assert (await http("PUT", path, body=good)).status == 200


async def test_records_that_are_cut_leave_nothing(http: SignedHttp) -> None:
    encoder = RecordStreamEncoder(ID)
    whole = encoder.encode(batch_of([1, 2, 3])) + encoder.finish()
    upload = await upload_of(http)
    for length in range(len(whole)):
        answer = await http("PUT", f"{http.table}?uploadid={upload}&blockid=0", body=whole[:length])
        assert answer.status == 400, length
    listed = await http("GET", f"{http.table}?uploadid={upload}")
    assert json.loads(listed.body)["UploadedBlockList"] == []


async def test_an_empty_arrow_upload_may_be_four_bytes(http: SignedHttp) -> None:
    path = f"{http.table}?uploadid={await upload_of(http)}&blockid=0&arrow"
    assert (await http("PUT", path, body=bytes(4))).status == 200


async def test_a_block_put_again_replaces_the_first(http: SignedHttp) -> None:
    upload = await upload_of(http)
    for block, values in ((1, [1]), (0, [5]), (1, [6, 7])):
        path = f"{http.table}?uploadid={upload}&blockid={block}&arrow"
        assert (await http("PUT", path, body=arrow_body(batch_of(list(values))))).status == 200
    blocks = json.loads((await http("GET", f"{http.table}?uploadid={upload}")).body)["UploadedBlockList"]
    assert [(block["BlockID"], block["RecordCount"]) for block in blocks] == [(0, 1), (1, 2)]
    for _ in range(2):
        assert json.loads((await http("POST", f"{http.table}?uploadid={upload}")).body)["Status"] == "closed"
    assert ids_of((await http.read(await http.create_download(), 10, 10)).body) == [5, 6, 7]
    late = await http("PUT", f"{http.table}?uploadid={upload}&blockid=3&arrow", body=arrow_body(batch_of([1])))
    assert late.status == 409
    assert await code(late) == "StatusConflict"


async def test_decompression_is_bounded(tmp_path: Path) -> None:
    async with serve(tmp_path, limits=Limits(block_bytes=1 << 20)) as service, signed_http(service) as http:
        await http.fill(1)
        path = f"{http.table}?uploadid={await upload_of(http)}&blockid=0&arrow"
        bomb = zlib.compress(arrow_body(batch_of([0] * 200_000)), 9)
        assert len(bomb) < 1 << 14
        answer = await http("PUT", path, body=bomb, headers={"Content-Encoding": "deflate"})
        assert answer.status == 400
        assert "once decompressed" in answer.text
        answer = await http("PUT", path, body=bytes(2 << 20))
        assert answer.status == 400


async def test_control_bodies_are_bounded(tmp_path: Path) -> None:
    async with serve(tmp_path, limits=Limits(control_body_bytes=1000)) as service, signed_http(service) as http:
        answer = await http("POST", "/api/projects/demo/instances", body=b"x" * 1001)
        assert answer.status == 400
        assert "<Code>MaxMessageLengthExceeded</Code>" in answer.text


@pytest.mark.parametrize(
    "body",
    [b"", b"<a", b"<Instance/>", b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', b"\xff\xfe\x00", b"<a>\x00</a>"],
)
async def test_statements_that_are_not_xml(http: SignedHttp, body: bytes) -> None:
    answer = await http("POST", "/api/projects/demo/instances", body=body)
    assert answer.status in (400, 501)
    assert "<Error>" in answer.text


@pytest.mark.parametrize("path", ["/logview/host", "/", "/projects", "/projects/demo/tables/t?x", "/etc/passwd"])
async def test_other_addresses(http: SignedHttp, path: str) -> None:
    answer = await http("GET", path)
    assert answer.status == 400
    assert answer.headers["x-odps-request-id"]
    assert await code(answer) == "InvalidURI"


async def test_what_is_not_served_says_so(http: SignedHttp) -> None:
    answer = await http("POST", f"{http.table}/streams")
    assert answer.status == 501
    assert await code(answer) == "NotImplemented"


async def test_intervals_of_months_have_no_arrow_form(http: SignedHttp) -> None:
    await http.run_sql("CREATE TABLE m (id bigint, w interval_year_month)")
    table = "/projects/demo/tables/m"
    upload = json.loads((await http("POST", f"{table}?uploads")).body)["UploadID"]
    refused = await http("PUT", f"{table}?uploadid={upload}&blockid=0&arrow", body=arrow_body(batch_of([1])))
    assert refused.status == 400
    assert "record form" in refused.text
    download = json.loads((await http("POST", f"{table}?downloads")).body)["DownloadID"]
    path = f"{table}?data&downloadid={download}&rowrange=(0,0)"
    assert (await http("GET", path + "&arrow")).status == 400
    assert (await http("GET", path + "&arrow&columns=id")).status == 200
    assert (await http("GET", path)).status == 200


async def test_times_beyond_the_arrow_form(http: SignedHttp) -> None:
    await http.run_sql("CREATE TABLE w (id bigint, at timestamp)")
    table = "/projects/demo/tables/w"
    columns = [Column("id", "bigint"), Column("at", "timestamp")]
    batch = pa.RecordBatch.from_pylist(
        [{"id": 1, "at": {"sec": -(10**11), "nano": 5}}], schema=arrow_schema(columns, wide_timestamps=True)
    )
    encoder = RecordStreamEncoder(columns)
    upload = json.loads((await http("POST", f"{table}?uploads")).body)["UploadID"]
    body = encoder.encode(batch) + encoder.finish()
    assert (await http("PUT", f"{table}?uploadid={upload}&blockid=0", body=body)).status == 200
    await http("POST", f"{table}?uploadid={upload}")
    download = json.loads((await http("POST", f"{table}?downloads")).body)["DownloadID"]
    path = f"{table}?data&downloadid={download}&rowrange=(0,1)"
    refused = await http("GET", path + "&arrow")
    assert refused.status == 400
    assert "record form" in refused.text
    assert (await http("GET", path + "&arrow&columns=id")).status == 200
    decoded = RecordStreamDecoder(columns, wide_timestamps=True).decode((await http("GET", path)).body)
    assert decoded.to_pylist() == batch.to_pylist()


@pytest.mark.parametrize("encoding", ["identity", "ZSTD", "LZ4_FRAME"])
async def test_a_preview_is_a_plain_arrow_stream_of_at_most_so_many_rows(tmp_path: Path, encoding: str) -> None:
    async with serve(tmp_path, limits=Limits(preview_rows=9000)) as service, signed_http(service) as http:
        await http.fill(20_000)
        path = "/projects/demo/schemas/default/tables/t/preview?limit="
        for limit, expected in ((-1, 9000), (5000, 5000), (50_000, 9000), (0, 0)):
            answer = await http("GET", f"{path}{limit}", headers={"Accept-Encoding": encoding})
            assert "Content-Encoding" not in answer.headers
            with pa.ipc.open_stream(answer.body) as reader:
                table = reader.read_all()
            assert table.column("id").to_pylist() == list(range(expected))
