"""The operations of the Tunnel service, one coroutine each.

Its URLs, verbs and the meaning of its answers live here and nowhere else. Operations that are safe to repeat are
repeated by the retry policy; streams of rows are not: what to ask again after a broken stream is the reader's to know.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

import anyio
import anyio.to_thread

from aiopaiio import errors
from aiopaiio.http import Body, Request
from aiopaiio.odps_types import needs_parser, type_parser
from aiopaiio.schema import Column
from aiopaiio.service_api import ServiceApi
from aiopaiio.session_quota import SessionQuota
from aiopaiio.sessions import DownloadSession, UploadSession, download_session, upload_session
from aiopaiio.slicing import RowRange
from aiopaiio.table_path import TablePath

__all__ = ["Tunnel", "refuses_arrow"]

_Answer = TypeVar("_Answer")

_HEADERS = {
    "x-odps-tunnel-version": "6",
    # Dates travel as UTC, not as the server's local time.
    "odps-tunnel-date-transform": "v1",
}
_BODY_PIECE_BYTES = 1 << 18
_REFUSES_ARROW = frozenset({400, 405, 406, 415, 501})
_TYPE_IN_JSON = re.compile(rb'"type"\s*:\s*"([^"]*)')
_FIRST_POLL_SECONDS = 0.1
_LONGEST_POLL_SECONDS = 5.0


class Tunnel:
    """What can be asked of one service, with the keys of one configuration."""

    def __init__(self, service: ServiceApi) -> None:
        self.service = service
        self.retry = service.retry
        self._http = service.http
        self._session_quota = SessionQuota()
        self._quota_name = service.config.quota_name

    # ------------------------------------------------------------------------------------------------------- download

    async def create_download(self, table: TablePath) -> DownloadSession:
        """Freeze the present rows of a table, or of the one partition in ``table``."""
        query = [("downloads", ""), ("asyncmode", "true")]
        session, status = download_session(table, *await self._new_session(table, query))
        wait, waited = _FIRST_POLL_SECONDS, 0.0
        while status == "initiating":
            if waited >= self.retry.throttle_seconds:
                raise errors.TransportTimeout(
                    f"the service is still preparing the download session after {waited:.0f} s",
                    table=table.name,
                    session=session.id,
                    request_id=session.request_id,
                )
            await anyio.sleep(wait)
            waited += wait
            wait = min(2 * wait, _LONGEST_POLL_SECONDS)
            answer = await self._table_json("GET", table, [("downloadid", session.id)])
            session, status = download_session(table, *answer)
        return session

    def read_rows(
        self,
        session: DownloadSession,
        rows: RowRange,
        columns: Sequence[Column] | None,
        *,
        arrow: bool,
        encoding: str,
        tunnel_endpoint: str,
    ) -> AbstractAsyncContextManager[Body]:
        """Ask once for a row range; the body is in Arrow or record form.

        ``columns`` None means all but the partition columns, as the service takes it when none are named.
        """
        query = [
            ("data", ""),
            ("downloadid", session.id),
            ("rowrange", f"({rows.start},{len(rows)})"),
        ]
        if columns is not None:
            query.append(("columns", ",".join(column.name for column in columns)))
        if arrow:
            query.append(("arrow", ""))
        return self._http.stream(
            self._table_request("GET", session.table, query, tunnel_endpoint, {"Accept-Encoding": encoding})
        )

    # --------------------------------------------------------------------------------------------------------- upload

    async def create_upload(self, table: TablePath, *, overwrite: bool, create_partition: bool) -> UploadSession:
        """Open a set of blocks for a table, or for the one partition in ``table``."""
        query = [("uploads", "1")]
        if overwrite:
            query.append(("overwrite", "true"))
        if create_partition and table.partitions:
            query.append(("create_partition", "true"))
        answer, _ = await self._new_session(table, query)
        return upload_session(table, answer)

    async def reload_upload(self, session: UploadSession) -> UploadSession:
        """The session as the service knows it now, with all its blocks."""
        answer, _ = await self._table_json("GET", session.table, [("uploadid", session.id)])
        return upload_session(session.table, answer)

    async def put_block(
        self,
        session: UploadSession,
        block_id: int,
        pieces: Sequence[bytes | memoryview],
        *,
        arrow: bool,
        encoding: str,
    ) -> None:
        """Send a block; sent again after a fault under the same id, it replaces itself."""
        query = [("uploadid", session.id), ("blockid", str(block_id))]
        if arrow:
            query.append(("arrow", ""))
        headers = {} if encoding == "identity" else {"Content-Encoding": encoding}

        async def body() -> AsyncIterator[bytes]:
            # Not frame by frame: each piece given costs a write to the connection.
            waiting: list[bytes | memoryview] = []
            waiting_bytes = 0
            for piece in pieces:
                waiting.append(piece)
                waiting_bytes += len(piece)
                if waiting_bytes >= _BODY_PIECE_BYTES:
                    yield b"".join(waiting)
                    waiting.clear()
                    waiting_bytes = 0
            if waiting:
                yield b"".join(waiting)

        await self._repeat(
            f"block {block_id} of {session.table.name}",
            lambda endpoint: self._http.send(
                self._table_request("PUT", session.table, query, endpoint, headers, body=body)
            ),
            session.table,
            session.id,
        )

    async def commit_upload(self, session: UploadSession) -> UploadSession:
        """Ask once to make all blocks visible; not repeated, because a lost answer says nothing about the commit."""
        with _within(session.table, session.id):
            endpoint = await self.service.tunnel_endpoint(session.table.project)
            answer = await self._http.send(
                self._table_request("POST", session.table, [("uploadid", session.id)], endpoint)
            )
            return upload_session(session.table, answer.json()) if answer.body else replace(session, status="closed")

    # ------------------------------------------------------------------------------------------------------- machinery

    async def _new_session(self, table: TablePath, query: list[tuple[str, str]]) -> tuple[dict[str, Any], str | None]:
        what, once = self._json_request("POST", table, query)
        with _within(table):
            return await self._session_quota.ask(self._at_tunnel(table, once), partial(self.service.retrying, what))

    async def _table_json(
        self, method: str, table: TablePath, query: list[tuple[str, str]]
    ) -> tuple[dict[str, Any], str | None]:
        what, once = self._json_request(method, table, query)
        return await self._repeat(what, once, table)

    def _json_request(
        self, method: str, table: TablePath, query: list[tuple[str, str]]
    ) -> tuple[str, Callable[[str], Awaitable[tuple[dict[str, Any], str | None]]]]:
        """What warnings call a request, and the request itself, to be sent to an endpoint."""

        async def once(endpoint: str) -> tuple[dict[str, Any], str | None]:
            answer = await self._http.send(self._table_request(method, table, query, endpoint))
            types = {text.decode(errors="replace") for text in _TYPE_IN_JSON.findall(answer.body)}
            if any(map(needs_parser, types)):
                # Not to be imported in the loop, which others wait for.
                await anyio.to_thread.run_sync(type_parser)
            return answer.json(), answer.request_id

        return f"{method} {query[0][0]} of {table.name}", once

    async def _repeat(
        self, what: str, once: Callable[[str], Awaitable[_Answer]], table: TablePath, session: str | None = None
    ) -> _Answer:
        with _within(table, session):
            return await self.service.retrying(what, self._at_tunnel(table, once))

    def _at_tunnel(
        self, table: TablePath, once: Callable[[str], Awaitable[_Answer]]
    ) -> Callable[[], Awaitable[_Answer]]:
        async def at_tunnel() -> _Answer:
            endpoint = await self.service.tunnel_endpoint(table.project)
            try:
                return await once(endpoint)
            except errors.ConnectFailed:
                self.service.forget_tunnel_endpoint(table.project)
                raise

        return at_tunnel

    def _table_request(
        self,
        method: str,
        table: TablePath,
        query: Sequence[tuple[str, str]],
        tunnel_endpoint: str,
        headers: dict[str, str] | None = None,
        body: Any = None,
    ) -> Request:
        schema = f"/schemas/{table.schema}" if table.schema else ""
        common = [("curr_project", table.project)]
        if table.partitions:
            common.append(("partition", str(table.partitions[0])))
        if self._quota_name:
            common.append(("quotaName", self._quota_name))
        return Request(
            method,
            tunnel_endpoint,
            f"/projects/{table.project}{schema}/tables/{table.table}",
            (*query, *common),
            _HEADERS | (headers or {}),
            body=body,
        )


def refuses_arrow(error: errors.Error) -> bool:
    """Whether a refusal may be meant for the Arrow form rather than for the request as such."""
    return isinstance(error, errors.ServerError) and error.status in _REFUSES_ARROW


@contextmanager
def _within(table: TablePath, session: str | None = None) -> Iterator[None]:
    """Say in which table, partition and session an error happened."""
    try:
        yield
    except errors.Error as error:
        partition = str(table.partitions[0]) if table.partitions else None
        error.with_context(table=table.name, partition=partition, session=session)
        raise
