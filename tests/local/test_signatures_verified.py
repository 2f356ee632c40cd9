"""Signatures as the service checks them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from email.utils import formatdate

import pytest
from multidict import CIMultiDict

from aiopaiio.local import LocalService
from aiopaiio.local.answers import Refused
from aiopaiio.local.auth import Keys, verify_request
from aiopaiio.local.operations import parse_operation
from aiopaiio.signing import authorization_v1, canonical_string
from fixtures.signed_http import SignedHttp, signed_http

# Published with the protocol: both signatures of one request, made by PyODPS.
TARGET = "/projects/p/tables/t?asyncmode=true&curr_project=p&downloads=&partition=ds%3D1%2Chh%3D2"
DATE = "Mon, 01 Jan 2024 00:00:00 GMT"
NOW = 1704067200.0
V1 = "ODPS ak:tco/axDfRspa8Mu9b8sSYGjaoVM="
V4 = "ODPS ak/20240101/cn-shanghai/odps/aliyun_v4_request:U5PY6dfdHFlgWoy6XX+CPYvIrRM="
KEYS = Keys("ak", "sk", "token")


def verify(authorization: str | None, *, target: str = TARGET, now: float = NOW, **more: str) -> None:
    headers = CIMultiDict({"Date": DATE, "x-odps-tunnel-version": "6", **more})
    if authorization is not None:
        headers["Authorization"] = authorization
    verify_request(KEYS, "POST", target, headers, parse_operation("POST", target), now=now, skew_seconds=900)


@pytest.mark.parametrize("authorization", [V1, V4])
def test_both_versions(authorization: str) -> None:
    verify(authorization)
    verify(authorization, **{"authorization-sts-token": "token"})


@pytest.mark.parametrize("authorization", [V1, V4])
def test_the_service_prefix_is_not_signed(authorization: str) -> None:
    verify(authorization, target="/api" + TARGET)


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Basic YWs6c2s=",
        "ODPS ak",
        "ODPS ak:",
        V1[:-4] + "AAA=",
        V4[:-4] + "AAA=",
        V1.replace("ak:", "am:"),
        V4.replace("cn-shanghai", "cn-beijing"),
        V4.replace("20240101", "20240102"),
        V4.replace("/odps/", "/other/"),
        "ODPS ak/x:y",
        "ODPS ak:\udcff",
    ],
)
def test_what_is_not_right_is_unauthorised(authorization: str | None) -> None:
    with pytest.raises(Refused) as refused:
        verify(authorization)
    assert (refused.value.code, refused.value.status) == ("Unauthorized", 401)


@pytest.mark.parametrize("change", ["&x=1", "0"])
def test_the_query_is_signed(change: str) -> None:
    with pytest.raises(Refused, match="ODPS-0410042"):
        verify(V1, target=TARGET + change)


@pytest.mark.parametrize(("on_the_wire", "signed"), [("ds%3Da%2Bb", "ds=a b"), ("ds%3Da%2Bb", "ds=a+b")])
def test_values_may_be_decoded_once_or_twice_before_signing(on_the_wire: str, signed: str) -> None:
    pairs = [("downloads", ""), ("partition", signed)]
    headers = {"Date": DATE, "x-odps-tunnel-version": "6"}
    canonical = canonical_string("POST", "/projects/p/tables/t", pairs, headers)
    target = f"/projects/p/tables/t?downloads&partition={on_the_wire}"
    verify(authorization_v1("ak", "sk", canonical), target=target)
    with pytest.raises(Refused, match="ODPS-0410042"):
        verify(authorization_v1("ak", "sk", canonical), target=target.replace("%2B", "%2C"))


def test_tunnel_version_is_signed_and_other_headers_are_not() -> None:
    verify(V1, **{"odps-tunnel-tags": "a", "Content-Length": "0"})
    with pytest.raises(Refused, match="ODPS-0410042"):
        verify(V1, **{"x-odps-other": "a"})


def test_another_token() -> None:
    with pytest.raises(Refused, match="security token"):
        verify(V1, **{"authorization-sts-token": "tokem"})


@pytest.mark.parametrize("offset", [-901, 901, 1e6])
def test_a_date_too_far_off(offset: float) -> None:
    verify(V1, now=NOW + 899)
    verify(V1, now=NOW - 899)
    with pytest.raises(Refused, match="max_interval_date:900000,expire_date:2024-01-01T00:00:00") as refused:
        verify(V1, now=NOW + offset)
    assert refused.value.code == "RequestTimeTooSkewed"


@pytest.mark.parametrize("date", ["", "yesterday", "Mon, 99 Jan 2024 00:00:00 GMT"])
def test_a_date_that_is_none(date: str) -> None:
    with pytest.raises(Refused, match="Date header"):
        verify(V1, Date=date)


def test_keys_do_not_show() -> None:
    keys = Keys.fresh()
    assert keys.access_key not in repr(keys)
    assert keys.security_token not in repr(keys)
    assert len({keys.access_key, keys.security_token, Keys.fresh().access_key}) == 3


@pytest.fixture
async def http(local_service: LocalService) -> AsyncIterator[SignedHttp]:
    async with signed_http(local_service) as client:
        yield client


@pytest.mark.parametrize("partition", ["ds=a%2Bb", "ds=a+b", "ds=50%2525", "ds=%E4%B8%AD"])
async def test_values_that_decode_differently_twice(http: SignedHttp, partition: str) -> None:
    answer = await http("POST", f"{http.table}?downloads&partition={partition}")
    assert json.loads(answer.body)["Code"] == "NoSuchTable"


async def test_refusals_look_as_each_service_makes_them(http: SignedHttp) -> None:
    tunnel = await http("POST", f"{http.table}?downloads", access_key="wrong")
    assert tunnel.status == 401
    assert json.loads(tunnel.body)["Code"] == "Unauthorized"
    service = await http("GET", "/api/projects/demo/tables", access_key="wrong")
    assert service.status == 401
    for part in ("<Code>ODPS-0410042</Code>", "<Message>", "<RequestId>", "<HostId>"):
        assert part in service.text
    assert service.headers["x-odps-request-id"] in service.text


async def test_version_4_over_the_wire(http: SignedHttp) -> None:
    assert (await http("GET", "/api/projects/demo/tables", region="cn-hangzhou")).status == 200


async def test_an_old_date_over_the_wire(http: SignedHttp) -> None:
    answer = await http("GET", "/api/projects/demo/tables", headers={"Date": formatdate(0, usegmt=True)})
    assert answer.status == 401
    assert "<Code>RequestTimeTooSkewed</Code>" in answer.text
