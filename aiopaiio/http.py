"""HTTP for the client: one lazily opened session, signed requests, typed errors.

The only client module that imports aiohttp.
What is asked and what the answers mean is decided elsewhere; here it is only carried.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from email.utils import formatdate, parsedate_to_datetime
from ipaddress import ip_address
from typing import Any, Protocol
from urllib.parse import quote, urlsplit
from xml.etree import ElementTree

import aiohttp
import anyio
from yarl import URL

from aiopaiio import errors
from aiopaiio.config import Config
from aiopaiio.signing import authorization_v1, authorization_v4, canonical_string

__all__ = ["Account", "Answer", "Body", "HttpClient", "Request"]

CONNECT_TIMEOUT_SECONDS = 10.0
LARGEST_CONTROL_BODY_BYTES = 64 << 20
"""An answer that is not a stream of rows is refused beyond this: a list of 20,000 blocks is about 3 MB."""

_CLOSED_MEANWHILE = "the client was closed while an answer was awaited"
_READ_BUFFER_BYTES = 1 << 18
_SENT_PIECE_BYTES = 1 << 20
_KEEP_ALIVE_SECONDS = 60.0


class Account(Protocol):
    """Anything that signs as PyODPS's accounts do: reads ``method`` and ``url``, and sets ``headers``."""

    def sign_request(self, req: Any, endpoint: str, region_name: str | None = None) -> None:
        """Add the authorization headers to ``req``; may block."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request below an endpoint: ``GET {endpoint}{path}?{query}``; path and query are not yet percent-encoded."""

    method: str
    endpoint: str
    path: str
    query: tuple[tuple[str, str], ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | Callable[[], AsyncIterator[Any]] | None = None
    region: str | None = None
    """Sign with version 4 for this region, with version 1 when None."""

    @property
    def url(self) -> str:
        """The percent-encoded URL. A blank is ``%20``: a ``+`` would be signed differently from what is sent."""
        query = "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in self.query)
        path = quote(self.path, safe="/")
        return f"{self.endpoint}{path}?{query}" if query else f"{self.endpoint}{path}"


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer with a status below 300."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    request_id: str | None

    def json(self) -> dict[str, Any]:
        """The body as a JSON object; a body that is none is a :class:`~aiopaiio.errors.MalformedStreamError`."""
        try:
            value = json.loads(self.body)
            if not isinstance(value, dict):
                raise TypeError
        except (ValueError, TypeError):
            raise errors.MalformedStreamError(
                "the service's answer is not a JSON object", request_id=self.request_id
            ) from None
        return value


class Body:
    """The body of an answer while it arrives."""

    def __init__(self, response: aiohttp.ClientResponse, silence_seconds: float | None) -> None:
        self._response = response
        self._silence_seconds = silence_seconds
        self.request_id = response.headers.get("x-odps-request-id")
        self.content_encoding = response.headers.get("Content-Encoding", "identity")

    async def read_piece(self) -> bytes:
        """The next bytes, however many there are; ``b""`` at the end of the body."""
        content = self._response.content
        with transport_errors(self.request_id):
            if self._silence_seconds is None:
                return await content.readany()
            with anyio.fail_after(self._silence_seconds):
                return await content.readany()

    async def pieces(self) -> AsyncIterator[bytes]:
        """All pieces up to the end of the body."""
        while piece := await self.read_piece():
            yield piece


class HttpClient:
    """Signed requests over one pool of connections that lives in one event loop of one process."""

    def __init__(self, config: Config, *, account: Account | None = None, read_timeout_seconds: float = 60.0) -> None:
        self._config = config
        self._account = account
        self._read_timeout_seconds = read_timeout_seconds
        self._session: aiohttp.ClientSession | None = None
        self._responses: set[aiohttp.ClientResponse] = set()
        self._closed = False
        self._process = os.getpid()
        self.answered = False
        """Whether the service has ever answered; until then a wrong address is likelier than an outage."""

    async def send(self, request: Request) -> Answer:
        """Send one request and take its whole answer; no retry. Raises the typed error of a refusal."""
        async with self.stream(request) as body:
            received = bytearray()
            async for piece in body.pieces():
                received += piece
                if len(received) > LARGEST_CONTROL_BODY_BYTES:
                    raise errors.MalformedStreamError(
                        f"the service's answer is larger than {LARGEST_CONTROL_BODY_BYTES >> 20} MiB",
                        request_id=body.request_id,
                    )
            response = body._response
            return Answer(response.status, response.headers, bytes(received), body.request_id)

    @asynccontextmanager
    async def stream(self, request: Request) -> AsyncIterator[Body]:
        """Send one request and give its body to be read; leaving early closes the connection."""
        headers = dict(request.headers)
        if request.body is not None:
            headers.setdefault("Content-Type", "application/octet-stream")
        # Otherwise aiohttp asks for encodings that nobody here decodes.
        headers.setdefault("Accept-Encoding", "identity")
        headers.setdefault("User-Agent", "aiopaiio")
        await self._sign(request, headers)
        # aiohttp's time-out for reading also runs while a body is on its way out, and none bounds the sending itself.
        silence = self._read_timeout_seconds if callable(request.body) else None
        sending = anyio.CancelScope()
        body = self._paced(request.body(), sending) if callable(request.body) else request.body
        with transport_errors(), sending:
            try:
                response = await self._open_session().request(
                    request.method,
                    URL(request.url, encoded=True),
                    headers=headers,
                    data=body,
                    allow_redirects=False,
                    timeout=aiohttp.ClientTimeout(
                        total=None,
                        sock_connect=CONNECT_TIMEOUT_SECONDS,
                        sock_read=self._read_timeout_seconds if silence is None else None,
                    ),
                )
            except RuntimeError as error:
                if self._closed:
                    raise errors.ClosedError(_CLOSED_MEANWHILE) from error
                raise
        if sending.cancelled_caught:
            raise errors.TransportTimeout("the service did not take the request's body, or answer it, in time")
        self.answered = True
        self._responses.add(response)
        try:
            answer = Body(response, silence)
            if response.status >= 300:
                raise await _refusal(answer)
            yield answer
        finally:
            self._responses.discard(response)
            response.release()

    async def aclose(self) -> None:
        """Close all connections. Harmless a second time."""
        self._closed = True
        session, self._session = self._session, None
        if session is not None and self._process == os.getpid():
            for response in self._responses:
                # aiohttp drops the connections and their time-outs without a word to whoever waits for a body.
                response.content.set_exception(errors.ClosedError(_CLOSED_MEANWHILE))
            await session.close()

    async def _paced(self, body: AsyncIterator[Any], sending: anyio.CancelScope) -> AsyncIterator[memoryview]:
        """The pieces of ``body``; cancels ``sending`` when one is not taken, or the last not answered, in time."""
        async for piece in body:
            view = memoryview(piece)
            for start in range(0, len(view), _SENT_PIECE_BYTES):
                sending.deadline = anyio.current_time() + self._read_timeout_seconds
                yield view[start : start + _SENT_PIECE_BYTES]
        sending.deadline = anyio.current_time() + self._read_timeout_seconds

    def _open_session(self) -> aiohttp.ClientSession:
        if self._process != os.getpid():
            raise errors.ForkedError("this client was made before fork; make a new one in the child process")
        if self._closed:
            raise errors.ClosedError("this client is closed; make a new one")
        if self._session is None:
            self._session = aiohttp.ClientSession(
                # How many requests run at once is decided by readers and writers, within their memory.
                connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=_KEEP_ALIVE_SECONDS),
                cookie_jar=aiohttp.DummyCookieJar(),
                # A Content-Type that is added after signing makes the signature wrong.
                skip_auto_headers=("Content-Type",),
                auto_decompress=False,
                read_bufsize=_READ_BUFFER_BYTES,
                # A proxy of the environment is for other machines, not for a service on this one.
                trust_env=not _is_loopback(self._config.endpoint),
            )
        return self._session

    async def _sign(self, request: Request, headers: dict[str, str]) -> None:
        if self._account is not None:
            shim = _Signable(request.method, request.url, headers)
            # Some accounts ask a credential server, so this may block.
            await asyncio.to_thread(self._account.sign_request, shim, request.endpoint)
            return
        config = self._config
        now = time.time()
        headers["Date"] = formatdate(now, usegmt=True)
        if config.security_token:
            headers["authorization-sts-token"] = config.security_token
        canonical = canonical_string(request.method, request.path, request.query, headers)
        if request.region:
            date = time.strftime("%Y%m%d", time.gmtime(now))
            headers["Authorization"] = authorization_v4(
                config.access_id, config.access_key, date, request.region, canonical
            )
        else:
            headers["Authorization"] = authorization_v1(config.access_id, config.access_key, canonical)


@dataclass
class _Signable:
    method: str
    url: str
    headers: dict[str, str]


def _is_loopback(endpoint: str) -> bool:
    host = urlsplit(endpoint).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@contextmanager
def transport_errors(request_id: str | None = None) -> Any:
    """Raise this library's transport errors in place of aiohttp's and the system's."""
    try:
        yield
    except (aiohttp.ClientConnectorCertificateError, aiohttp.ClientConnectorSSLError) as error:
        raise errors.CertificateError(
            f"no trusted TLS connection to {error.host}: {error}; check the end_point's https address",
            request_id=request_id,
        ) from error
    except aiohttp.ClientConnectorError as error:
        reason = error.os_error.strerror or str(error.os_error) or type(error.os_error).__name__
        raise errors.ConnectFailed(
            f"cannot connect to {error.host}:{error.port}: {reason}; check end_point and the network",
            request_id=request_id,
        ) from error
    except (aiohttp.ServerTimeoutError, asyncio.TimeoutError) as error:
        what = "connect in time" if isinstance(error, aiohttp.ConnectionTimeoutError) else "send anything in time"
        raise errors.TransportTimeout(f"the service did not {what}", request_id=request_id) from error
    except aiohttp.InvalidURL as error:
        raise errors.ConfigError(f"end_point gives no usable address: {error}") from error
    except (aiohttp.ClientError, OSError) as error:
        reason = str(error) or type(error).__name__
        raise errors.ConnectionLost(f"the connection broke: {reason}", request_id=request_id) from error


async def _refusal(body: Body) -> errors.ServerError:
    """The typed error for an answer with a status of 300 and above."""
    response = body._response
    received = bytearray()
    # Without a body, or with a part of it, the status line alone still says no.
    with suppress(errors.TransportError):
        while len(received) < 1 << 16 and (piece := await body.read_piece()):
            received += piece
    text = received.decode("utf-8", "replace")
    code, message, body_request_id = _error_fields(text)
    return errors.server_error(
        code,
        response.status,
        message or response.reason or "",
        request_id=response.headers.get("x-odps-request-id") or body_request_id,
        retry_after_seconds=_retry_after(response.headers.get("Retry-After")),
    )


def _error_fields(text: str) -> tuple[str, str, str | None]:
    """Code, message and request id of an error body: JSON (Tunnel) or XML (service); else the text is the message."""
    fields: Mapping[str, Any] = {}
    try:
        if text.lstrip().startswith("{"):
            fields = json.loads(text)
        elif text.lstrip().startswith("<") and "<!DOCTYPE" not in text:
            fields = {child.tag: child.text for child in _children(text)}
    except (ValueError, ElementTree.ParseError):
        pass
    if "Code" not in fields:
        return "", text.strip()[:500], None
    return str(fields["Code"] or ""), str(fields.get("Message") or ""), fields.get("RequestId") or None


def _children(text: str) -> Iterable[ElementTree.Element]:
    return ElementTree.fromstring(text)


def _retry_after(value: str | None) -> float | None:
    if not value:
        return None
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, TypeError):
        return None
