"""The few operations of the service API that reading and writing need, and the retrying that all operations share."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Awaitable, Callable
from dataclasses import replace
from ipaddress import ip_address
from typing import TypeVar
from urllib.parse import urlsplit
from xml.etree import ElementTree

import anyio

from aiopaiio import errors
from aiopaiio.config import Config
from aiopaiio.http import Answer, HttpClient, Request
from aiopaiio.retry import RetryPolicy
from aiopaiio.table_path import TablePath

__all__ = ["ServiceApi", "parse_xml"]

logger = logging.getLogger(__name__)

_Answer = TypeVar("_Answer")

_FIRST_CONTACT_SECONDS = 10.0
"""How long a service that never answered is tried: its address is more likely wrong than the service is down."""
_HOST = re.compile(r"([\w.-]+|\[[0-9A-Fa-f:.]+\])(:\d{1,5})?", re.ASCII)


class ServiceApi:
    """The service at the endpoint of a configuration."""

    def __init__(self, http: HttpClient, config: Config, retry: RetryPolicy) -> None:
        self.http = http
        self.config = config
        self.retry = retry
        self._tunnel_endpoints: dict[str, str] = {}
        self._discovering = anyio.Lock()

    async def tunnel_endpoint(self, project: str) -> str:
        """Where the Tunnel service of a project is; asked of the service once."""
        if self.config.tunnel_endpoint:
            return _with_scheme(self.config.tunnel_endpoint, self.config.endpoint)
        if project not in self._tunnel_endpoints:
            async with self._discovering:
                # Many may have waited here for the one who asks.
                if project not in self._tunnel_endpoints:
                    self._tunnel_endpoints[project] = await self._ask_tunnel_endpoint(project)
        return self._tunnel_endpoints[project]

    async def _ask_tunnel_endpoint(self, project: str) -> str:
        query = [("service", ""), ("curr_project", project)]
        if self.config.quota_name:
            query.append(("quotaName", self.config.quota_name))
        return await self.get(f"/projects/{project}/tunnel", query, self._tunnel_address)

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
                described = json.loads(parse_xml(answer).findtext("Schema") or "")
                return float(max(described[key] for key in ("lastModifiedTime", "lastDDLTime") if key in described))
            except (ValueError, TypeError) as error:
                raise errors.MalformedStreamError(
                    f"the service does not say when {table.name} was last modified", request_id=answer.request_id
                ) from error

        path = f"/projects/{table.project}/tables/{table.table}"
        return await self.get(path, query, modified_seconds)

    async def get(self, path: str, query: list[tuple[str, str]], understand: Callable[[Answer], _Answer]) -> _Answer:
        """Ask until there is an answer that ``understand`` makes sense of; it may raise what is worth asking again."""
        request = Request("GET", self.config.endpoint, path, tuple(query), region=self.config.region)

        async def once() -> _Answer:
            # Understood within the attempt: an answer that was cut short is asked for again.
            return understand(await self.http.send(request))

        return await self.retrying(f"GET {path}", once)

    async def retrying(self, what: str, once: Callable[[], Awaitable[_Answer]]) -> _Answer:
        """The result of ``once``, repeated as the retry policy says; ``what`` names it in warnings."""
        policy = self.retry
        if not self.http.answered:
            policy = replace(policy, outage_seconds=min(policy.outage_seconds, _FIRST_CONTACT_SECONDS))
        async for attempt in policy.retrying(logger, lambda: what):
            with attempt:
                return await once()
        raise AssertionError("retrying ends by returning or raising")


def parse_xml(answer: Answer) -> ElementTree.Element:
    """The body as XML; one that is none is a :class:`~aiopaiio.errors.MalformedStreamError`."""
    try:
        return ElementTree.fromstring(answer.body)
    except ElementTree.ParseError as error:
        raise errors.MalformedStreamError(
            f"the service's answer is not XML: {error}", request_id=answer.request_id
        ) from error


def _with_scheme(host: str, endpoint: str) -> str:
    return (host if "://" in host else f"{urlsplit(endpoint).scheme}://{host}").rstrip("/")
