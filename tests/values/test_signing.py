"""Signatures: a vector computed with PyODPS's accounts, and PyODPS itself on random requests."""

from urllib.parse import quote

from hypothesis import given
from hypothesis import strategies as st
from odps.accounts import AliyunAccount

from aiopaiio.signing import authorization_v1, authorization_v4, canonical_string

DATE = "Mon, 01 Jan 2024 00:00:00 GMT"
CANONICAL = canonical_string(
    "POST",
    "/projects/p/tables/t",
    [("asyncmode", "true"), ("curr_project", "p"), ("downloads", ""), ("partition", "ds=1,hh=2")],
    {"Date": DATE, "x-odps-tunnel-version": "6"},
)


def test_known_vector() -> None:
    assert (
        f"POST\n\n\n{DATE}\nx-odps-tunnel-version:6\n"
        "/projects/p/tables/t?asyncmode=true&curr_project=p&downloads&partition=ds=1,hh=2"
    ) == CANONICAL
    assert authorization_v1("ak", "sk", CANONICAL) == "ODPS ak:tco/axDfRspa8Mu9b8sSYGjaoVM="
    assert authorization_v4("ak", "sk", "20240101", "cn-shanghai", CANONICAL) == (
        "ODPS ak/20240101/cn-shanghai/odps/aliyun_v4_request:U5PY6dfdHFlgWoy6XX+CPYvIrRM="
    )


class _Request:
    def __init__(self, method: str, url: str, headers: dict[str, str]) -> None:
        self.method, self.url, self.headers = method, url, headers


# PyODPS decodes a query twice, so that these three sign differently from what is on the wire there.
letter = st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"], exclude_characters="+%&#;")
word = st.text(letter, max_size=6)
name = st.text("abcdefghijklmnopqrstuvwxyz-", min_size=1, max_size=10)


@given(
    method=st.sampled_from(["GET", "PUT", "POST", "DELETE"]),
    query=st.dictionaries(name, word, max_size=4),
    headers=st.dictionaries(name.map(lambda n: f"x-odps-{n}"), st.text("ab1 ", min_size=1, max_size=5), max_size=3),
    content_type=st.sampled_from([None, "application/xml"]),
)
def test_agrees_with_pyodps(
    method: str, query: dict[str, str], headers: dict[str, str], content_type: str | None
) -> None:
    endpoint = "http://h.example/api"
    headers = {**headers, "Date": DATE} | ({"Content-Type": content_type} if content_type else {})
    encoded = "&".join(f"{quote(k, safe='')}={quote(v, safe='')}" for k, v in query.items())
    request = _Request(method, f"{endpoint}/projects/p/tables/t?{encoded}", dict(headers))
    AliyunAccount("ak", "sk").sign_request(request, endpoint)
    ours = canonical_string(method, "/projects/p/tables/t", query.items(), headers)
    assert authorization_v1("ak", "sk", ours) == request.headers["Authorization"]
