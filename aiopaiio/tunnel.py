"""The operations of the Tunnel service and the few of the service API around it, one coroutine each.

URLs, verbs and the meaning of answers live here and nowhere else. Operations that are safe to repeat are repeated by
the retry policy; streams of rows are not: what to ask again after a broken stream is the reader's to know.
"""

from __future__ import annotations

import base64
import json
import logging
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from email.utils import parsedate_to_datetime
from ipaddress import ip_address
from typing import Any, TypeVar
from urllib.parse import urlsplit
from xml.etree import ElementTree

import anyio

from aiopaiio import errors
from aiopaiio.config import Config
from aiopaiio.http import Answer, Body, HttpClient, Request
from aiopaiio.retry import RetryPolicy
from aiopaiio.schema import TableSchema
from aiopaiio.slicing import RowRange
from aiopaiio.table_path import PartitionSpec, TablePath

__all__ = ["DownloadSession", "Tunnel", "UploadSession", "UploadedBlock"]

logger = logging.getLogger(__name__)

_Answer = TypeVar("_Answer")

_HEADERS = {
    "x-odps-tunnel-version": "6",
    # Dates travel as UTC, not as the server's local time.
    "odps-tunnel-date-transform": "v1",
}
_FIRST_CONTACT_SECONDS = 10.0
"""How long a service that never answered is tried: its address is more likely wrong than the service is down."""
_HOST = re.compile(r"([\w.-]+|\[[0-9A-Fa-f:.]+\])(:\d{1,5})?", re.ASCII)
_FIRST_POLL_SECONDS = 0.1
_LONGEST_POLL_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class DownloadSession:
    """An immutable snapshot of a table or partition on the service.

    A value: it pickles, and any process may read from it.
    """

    table: TablePath
    id: str
    row_count: int
    schema: TableSchema
    created_seconds: float | None
    """The service's clock when the session was made, seconds since the epoch; None when it does not say."""
    request_id: str | None = field(default=None, compare=False)
    """The request that made the session, for messages about the table as a whole."""

    @property
    def partition(self) -> PartitionSpec | None:
        """The partition read, or None for an unpartitioned table."""
        return self.table.partitions[0] if self.table.partitions else None


@dataclass(frozen=True, slots=True)
class UploadedBlock:
    """A block of rows that the service holds for an upload session."""

    id: int
    row_count: int


@dataclass(frozen=True, slots=True)
class UploadSession:
    """A set of blocks that becomes visible by one commit. A value, as a download session is."""

    table: TablePath
    id: str
    schema: TableSchema
    status: str
    blocks: tuple[UploadedBlock, ...] = ()

    @property
    def partition(self) -> PartitionSpec | None:
        """The partition written, or None for an unpartitioned table."""
        return self.table.partitions[0] if self.table.partitions else None


class Tunnel:
    """What can be asked of one service, with the keys of one configuration."""

    def __init__(self, http: HttpClient, config: Config, retry: RetryPolicy) -> None:
        self.config = config
        self.retry = retry
        self._http = http
        self._tunnel_endpoints: dict[str, str] = {}

    # ------------------------------------------------------------------------------------------------------- download

    async def create_download(self, table: TablePath) -> DownloadSession:
        """Freeze the present rows of a table, or of the one partition in ``table``."""
        query = [("downloads", ""), ("asyncmode", "true")]
        session = _download_session(table, *await self._table_json("POST", table, query))
        wait = _FIRST_POLL_SECONDS
        while session is None or session[1] == "initiating":
            await anyio.sleep(wait)
            wait = min(2 * wait, _LONGEST_POLL_SECONDS)
            session_id = session[0].id if session else ""
            session = _download_session(table, *await self._table_json("GET", table, [("downloadid", session_id)]))
        return session[0]

    def read_rows(
        self,
        session: DownloadSession,
        rows: RowRange,
        columns: Sequence[str],
        *,
        arrow: bool,
        encoding: str,
        tunnel_endpoint: str,
    ) -> AbstractAsyncContextManager[Body]:
        """Ask once for a row range of some data columns; the body is in Arrow or record form."""
        query = [
            ("data", ""),
            ("downloadid", session.id),
            ("rowrange", f"({rows.start},{len(rows)})"),
            ("columns", ",".join(columns)),
        ]
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
        answer, _ = await self._table_json("POST", table, query)
        return _upload_session(table, answer)

    async def reload_upload(self, session: UploadSession) -> UploadSession:
        """The session as the service knows it now, with all its blocks."""
        answer, _ = await self._table_json("GET", session.table, [("uploadid", session.id)])
        return _upload_session(session.table, answer)

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

        async def body() -> AsyncIterator[bytes | memoryview]:
            for piece in pieces:
                yield piece

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
        with _where(session.table, session.id):
            endpoint = await self.tunnel_endpoint(session.table.project)
            answer = await self._http.send(
                self._table_request("POST", session.table, [("uploadid", session.id)], endpoint)
            )
            return _upload_session(session.table, answer.json()) if answer.body else replace(session, status="closed")

    # ---------------------------------------------------------------------------------------------------- service API

    async def tunnel_endpoint(self, project: str) -> str:
        """Where the Tunnel service of a project is; asked of the service once."""
        if self.config.tunnel_endpoint:
            return _with_scheme(self.config.tunnel_endpoint, self.config.endpoint)
        known = self._tunnel_endpoints.get(project)
        if known is None:
            query = [("service", ""), ("curr_project", project)]
            if self.config.quota_name:
                query.append(("quotaName", self.config.quota_name))
            known = await self._service_request("GET", f"/projects/{project}/tunnel", query, self._tunnel_address)
            self._tunnel_endpoints[project] = known
        return known

    def forget_tunnel_endpoint(self, project: str) -> None:
        """Ask the service again next time: the address may have changed, or its answer may have been cut short."""
        self._tunnel_endpoints.pop(project, None)

    def _tunnel_address(self, answer: Answer) -> str:
        text = answer.body.decode("utf-8", "replace").strip()
        address = _with_scheme(text, self.config.endpoint)
        try:
            parts = urlsplit(address)
            usable = bool(text) and _HOST.fullmatch(parts.netloc) is not None and (parts.port or 1) > 0
            if not (parts.hostname or "").strip("0123456789."):
                ip_address(parts.hostname or "")
        except ValueError:
            usable = False
        if not usable:
            raise errors.MalformedStreamError(
                f"the service gives {text[:100]!r} for the address of its Tunnel; "
                "if that stays so, put tunnel_endpoint into the configuration",
                request_id=answer.request_id,
            )
        return address

    async def last_modified_seconds(self, table: TablePath) -> float:
        """When the rows of a table, or of the one partition in ``table``, last changed: seconds since the epoch."""
        query = [("curr_project", table.project)]
        if table.schema:
            query.append(("curr_schema", table.schema))
        if table.partitions:
            values = table.partitions[0].values
            query.append(("partition", ",".join(f"{name}='{value}'" for name, value in values)))

        def modified_seconds(answer: Answer) -> float:
            try:
                described = json.loads(_xml(answer).findtext("Schema") or "")
                return float(max(described[key] for key in ("lastModifiedTime", "lastDDLTime") if key in described))
            except (ValueError, TypeError) as error:
                raise errors.MalformedStreamError(
                    f"the service does not say when {table.name} was last modified", request_id=answer.request_id
                ) from error

        path = f"/projects/{table.project}/tables/{table.table}"
        return await self._service_request("GET", path, query, modified_seconds)

    async def run_statement(self, project: str, schema: str | None, statement: str) -> str:
        """Run one SQL statement to its end and return its result text; a failed one raises what MaxCompute says."""
        settings = {"odps.sql.submit.mode": ""}
        if schema:
            settings |= {
                "odps.sql.allow.namespace.schema": "true",
                "odps.namespace.schema": "true",
                "odps.default.schema": schema,
            }
        query = [("curr_project", project)] + ([("curr_schema", schema)] if schema else [])
        job = _sql_job(statement, settings)
        # Not repeated: a statement whose answer was lost may have run.
        submitted = await self._http.send(
            Request(
                "POST",
                self.config.endpoint,
                f"/projects/{project}/instances",
                tuple(query),
                {"Content-Type": "application/xml"},
                body=job,
                region=self.config.region,
            )
        )
        instance = submitted.headers.get("Location", "").rstrip("/").rpartition("/")[2]
        path = f"/projects/{project}/instances/{instance}"
        wait = _FIRST_POLL_SECONDS
        while True:
            state = await self._service_request("GET", path, [*query, ("taskstatus", "")], _xml)
            status = state.findtext(".//Tasks/Task/Status") or ""
            if status not in ("Running", "Waiting", "Suspended"):
                break
            await anyio.sleep(wait)
            wait = min(2 * wait, _LONGEST_POLL_SECONDS)
        result, request_id = await self._service_request("GET", path, [*query, ("result", "")], _result_text)
        if status != "Success":
            code = result.partition(":")[0].strip() if result.startswith("ODPS-") else ""
            raise errors.server_error(code, 200, result or status, request_id=request_id)
        return result

    # ------------------------------------------------------------------------------------------------------- machinery

    async def _service_request(
        self, method: str, path: str, query: list[tuple[str, str]], understand: Callable[[Answer], _Answer]
    ) -> _Answer:
        request = Request(method, self.config.endpoint, path, tuple(query), region=self.config.region)

        async def once() -> _Answer:
            # Understood within the attempt: an answer that was cut short is asked for again.
            return understand(await self._http.send(request))

        return await self._retrying(f"{method} {path}", once)

    async def _table_json(
        self, method: str, table: TablePath, query: list[tuple[str, str]]
    ) -> tuple[dict[str, Any], str | None]:
        async def once(endpoint: str) -> tuple[dict[str, Any], str | None]:
            answer = await self._http.send(self._table_request(method, table, query, endpoint))
            return answer.json(), answer.request_id

        return await self._repeat(f"{method} {query[0][0]} of {table.name}", once, table)

    async def _repeat(
        self, what: str, once: Callable[[str], Awaitable[_Answer]], table: TablePath, session: str | None = None
    ) -> _Answer:
        with _where(table, session):

            async def at_tunnel() -> _Answer:
                endpoint = await self.tunnel_endpoint(table.project)
                try:
                    return await once(endpoint)
                except errors.ConnectFailed:
                    self.forget_tunnel_endpoint(table.project)
                    raise

            return await self._retrying(what, at_tunnel)

    async def _retrying(self, what: str, once: Callable[[], Awaitable[_Answer]]) -> _Answer:
        policy = self.retry
        if not self._http.answered:
            policy = replace(policy, outage_seconds=min(policy.outage_seconds, _FIRST_CONTACT_SECONDS))
        async for attempt in policy.retrying(logger, lambda: what):
            with attempt:
                return await once()
        raise AssertionError("retrying ends by returning or raising")

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
        if self.config.quota_name:
            common.append(("quotaName", self.config.quota_name))
        return Request(
            method,
            tunnel_endpoint,
            f"/projects/{table.project}{schema}/tables/{table.table}",
            (*query, *common),
            _HEADERS | (headers or {}),
            body=body,
        )


class _where:
    """Say in which table, partition and session an error happened."""

    def __init__(self, table: TablePath, session: str | None) -> None:
        self._table, self._session = table, session

    def __enter__(self) -> None:
        return None

    def __exit__(self, _type: object, error: BaseException | None, _traceback: object) -> None:
        if isinstance(error, errors.Error):
            partition = str(self._table.partitions[0]) if self._table.partitions else None
            error.with_context(table=self._table.name, partition=partition, session=self._session)


def _download_session(
    table: TablePath, answer: dict[str, Any], request_id: str | None
) -> tuple[DownloadSession, str]:
    status = str(answer.get("Status", "normal")).lower()
    try:
        initiating = status == "initiating"
        session = DownloadSession(
            table=table,
            id=str(answer["DownloadID"]),
            row_count=int(answer.get("RecordCount", 0) if initiating else answer["RecordCount"]),
            schema=TableSchema((), ()) if initiating else TableSchema.from_tunnel_json(answer["Schema"]),
            created_seconds=_parse_date(answer.get("Initiated")),
            request_id=request_id,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise errors.MalformedStreamError(
            f"the service's description of a download session is not usable: {error!r}", table=table.name
        ) from error
    if status == "expired":
        raise errors.SessionExpired("the download session has expired", code="NoSuchDownload", session=session.id)
    return session, status


def _upload_session(table: TablePath, answer: dict[str, Any]) -> UploadSession:
    try:
        return UploadSession(
            table=table,
            id=str(answer["UploadID"]),
            schema=TableSchema.from_tunnel_json(answer["Schema"]) if "Schema" in answer else TableSchema((), ()),
            status=str(answer.get("Status", "normal")).lower(),
            blocks=tuple(
                UploadedBlock(int(block["BlockID"]), int(block.get("RecordCount", -1)))
                for block in answer.get("UploadedBlockList") or ()
            ),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise errors.MalformedStreamError(
            f"the service's description of an upload session is not usable: {error!r}", table=table.name
        ) from error


def _parse_date(text: object) -> float | None:
    try:
        return parsedate_to_datetime(str(text)).timestamp()
    except (ValueError, TypeError):
        return None


def _with_scheme(host: str, endpoint: str) -> str:
    return (host if "://" in host else f"{urlsplit(endpoint).scheme}://{host}").rstrip("/")


def _sql_job(statement: str, settings: dict[str, str]) -> bytes:
    job = ElementTree.Element("Instance")
    parent = ElementTree.SubElement(job, "Job")
    ElementTree.SubElement(parent, "Priority").text = "9"
    sql = ElementTree.SubElement(ElementTree.SubElement(parent, "Tasks"), "SQL")
    ElementTree.SubElement(sql, "Name").text = "AnonymousSQLTask"
    configured = ElementTree.SubElement(ElementTree.SubElement(sql, "Config"), "Property")
    ElementTree.SubElement(configured, "Name").text = "settings"
    ElementTree.SubElement(configured, "Value").text = json.dumps(settings)
    text = statement.strip()
    ElementTree.SubElement(sql, "Query").text = text if text.endswith(";") else f"{text};"
    ElementTree.SubElement(ElementTree.SubElement(parent, "DAG"), "RunMode").text = "Sequence"
    return bytes(ElementTree.tostring(job, encoding="utf-8", xml_declaration=True))


def _xml(answer: Answer) -> ElementTree.Element:
    try:
        return ElementTree.fromstring(answer.body)
    except ElementTree.ParseError as error:
        raise errors.MalformedStreamError(
            f"the service's answer is not XML: {error}", request_id=answer.request_id
        ) from error


def _result_text(answer: Answer) -> tuple[str, str | None]:
    """The result of a statement, and the id of the request that told it."""
    result = _xml(answer).find(".//Tasks/Task/Result")
    if result is None or not result.text:
        return "", answer.request_id
    if result.get("Transform") != "Base64":
        return result.text, answer.request_id
    try:
        return base64.b64decode(result.text).decode("utf-8", "replace"), answer.request_id
    except ValueError as error:
        raise errors.MalformedStreamError("the result is not Base64", request_id=answer.request_id) from error
