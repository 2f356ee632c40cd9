"""MaxCompute request signatures, versions 1 and 4: text in, text out; no clock, no I/O.

The canonical string is the same for both versions; they differ in the key. The client signs with it and the service for
one machine verifies with it. PyODPS has the same algorithm, but writes canonical strings and signed headers to its log;
here no secret reaches a log.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterable, Mapping

__all__ = ["authorization_v1", "authorization_v4", "canonical_string", "sign_v1", "sign_v4"]

_FIRST_HEADERS = ("content-md5", "content-type", "date")
_V4_SERVICE = "odps"
_V4_REQUEST = "aliyun_v4_request"


def canonical_string(method: str, path: str, query: Iterable[tuple[str, str]], headers: Mapping[str, str]) -> str:
    """The text that is signed.

    ``path`` is decoded and without the endpoint's own prefix (``/projects/p/...``), ``query`` are decoded pairs (the
    last of a repeated name counts), ``headers`` names are case-insensitive.
    """
    parameters = dict(query)
    given = {name.lower(): value for name, value in headers.items()}
    signed = {name: given.get(name, "") for name in _FIRST_HEADERS}
    named = {name: value for name, value in given.items() if name.startswith("x-odps-")}
    named |= {name: value for name, value in parameters.items() if name.startswith("x-odps-")}
    resource = path
    if parameters:
        pairs = (f"{name}={value}" if value else name for name, value in sorted(parameters.items()))
        resource += "?" + "&".join(pairs)
    lines = [method.upper(), *signed.values(), *(f"{name}:{value}" for name, value in sorted(named.items())), resource]
    return "\n".join(lines)


def sign_v1(access_key: str, canonical: str) -> str:
    """Base64 of HMAC-SHA1 with the access key itself."""
    return _hmac_sha1(access_key.encode(), canonical)


def sign_v4(access_key: str, date: str, region: str, canonical: str) -> str:
    """Base64 of HMAC-SHA1 with a key that is derived for one day (``yyyymmdd``, UTC) and one region."""
    key = b"aliyun_v4" + access_key.encode()
    for part in (date, region, _V4_SERVICE, _V4_REQUEST):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return _hmac_sha1(key, canonical)


def authorization_v1(access_id: str, access_key: str, canonical: str) -> str:
    """The value of the ``Authorization`` header, version 1."""
    return f"ODPS {access_id}:{sign_v1(access_key, canonical)}"


def authorization_v4(access_id: str, access_key: str, date: str, region: str, canonical: str) -> str:
    """The value of the ``Authorization`` header, version 4."""
    credential = f"{access_id}/{date}/{region}/{_V4_SERVICE}/{_V4_REQUEST}"
    return f"ODPS {credential}:{sign_v4(access_key, date, region, canonical)}"


def _hmac_sha1(key: bytes, text: str) -> str:
    return base64.b64encode(hmac.new(key, text.encode(), hashlib.sha1).digest()).decode("ascii")
