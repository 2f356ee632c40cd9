"""Who is asking: verification of MaxCompute signatures, versions 1 and 4, with or without an STS token. Pure.

Nothing here says which part of a signature was wrong beyond what the real service says, and every comparison of a
secret takes the same time whatever it finds.
"""

from __future__ import annotations

import hmac
import secrets
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from urllib.parse import parse_qsl, unquote_plus

from aiopaiio.local.answers import Refused
from aiopaiio.local.operations import Operation
from aiopaiio.signing import canonical_string, sign_v1, sign_v4

__all__ = ["Keys", "verify_request"]


@dataclass(frozen=True, slots=True)
class Keys:
    """The key pair that is accepted, and the security token that is accepted with it; a request may leave it out."""

    access_id: str
    access_key: str = field(repr=False)
    security_token: str = field(repr=False)

    @classmethod
    def fresh(cls, access_id: str | None = None, access_key: str | None = None) -> Keys:
        """Random keys where none are given."""
        return cls(
            access_id or f"LOCAL{secrets.token_hex(8).upper()}",
            access_key or secrets.token_urlsafe(32),
            secrets.token_urlsafe(32),
        )


def verify_request(
    keys: Keys,
    method: str,
    raw_target: str,
    headers: Mapping[str, str],
    operation: Operation,
    *,
    now: float,
    skew_seconds: float,
) -> None:
    """Return if the request is signed with ``keys``; else raise :class:`Refused` as the real service would.

    ``headers`` is case-insensitive; ``now`` is in seconds since the epoch.
    """
    scheme, _, credential_and_signature = headers.get("Authorization", "").partition(" ")
    credential, colon, signature = credential_and_signature.rpartition(":")
    if scheme != "ODPS" or not colon:
        raise Refused("Unauthorized", "The request authorization header is invalid or missing.")
    access_id, *scope = credential.split("/")
    if scope and (len(scope) != 4 or scope[2:] != ["odps", "aliyun_v4_request"]):
        raise Refused("Unauthorized", "The request authorization header is invalid or missing.")
    if not _same(access_id, keys.access_id):
        raise _refused(operation, "ODPS-0410051", "Invalid credentials - accessId not found")
    _check_date(headers.get("Date", ""), now, skew_seconds)
    token = headers.get("authorization-sts-token")
    if token is not None and not _same(token, keys.security_token):
        raise _refused(operation, "ODPS-0410051", "Invalid credentials - the security token is unknown or expired")
    right = False
    for canonical in _canonical_strings(method, raw_target, headers, operation):
        if scope:
            expected = sign_v4(keys.access_key, scope[0], scope[1], canonical)
        else:
            expected = sign_v1(keys.access_key, canonical)
        right |= _same(signature, expected)
    if not right:
        raise _refused(operation, "ODPS-0410042", "Invalid signature value - User signature does not match")


def _canonical_strings(method: str, raw_target: str, headers: Mapping[str, str], operation: Operation) -> Iterator[str]:
    """The texts a client may have signed: some clients decode the query once, PyODPS decodes it twice."""
    once = operation.query
    yield canonical_string(method, operation.path, once.items(), headers)
    twice = dict(parse_qsl(unquote_plus(raw_target.partition("?")[2]), keep_blank_values=True))
    if twice != once:
        yield canonical_string(method, operation.path, twice.items(), headers)


def _check_date(text: str, now: float, skew_seconds: float) -> None:
    try:
        sent = parsedate_to_datetime(text).timestamp()
    except (TypeError, ValueError, IndexError, OverflowError):
        raise Refused("Unauthorized", "The request has no valid Date header.") from None
    if abs(now - sent) > skew_seconds:
        stamp = "%Y-%m-%dT%H:%M:%S.000Z"
        expire, present = (time.strftime(stamp, time.gmtime(t)) for t in (sent, now))
        raise Refused(
            "RequestTimeTooSkewed",
            "The difference between the request time and the current time is too large. "
            f"max_interval_date:{int(skew_seconds * 1000)},expire_date:{expire},now_date:{present}",
        )


def _refused(operation: Operation, code: str, message: str) -> Refused:
    """The service API names the cause by number, the tunnel only says that the caller is not authorised."""
    if operation.tunnel:
        return Refused("Unauthorized", f"{code}: {message}")
    return Refused(code, f"{code}: {message}")


def _same(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "surrogateescape"), expected.encode())
