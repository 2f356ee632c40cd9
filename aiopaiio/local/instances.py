"""SQL instances: run a statement, ask how it went, fetch its result as text, CSV or through the tunnel.

Statements here are quick, so an instance has ended by the time its creation is answered.
"""

from __future__ import annotations

import asyncio
import base64
import json
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import formatdate
from typing import Any
from xml.etree import ElementTree

from aiohttp import web

from aiopaiio.local import ddl
from aiopaiio.local.answers import Refused, child, json_answer, xml_answer
from aiopaiio.local.csv_text import csv_text
from aiopaiio.local.downloads import quota_name, send_rows
from aiopaiio.local.operations import SERVICE_PREFIX
from aiopaiio.local.request_body import read_body
from aiopaiio.local.running import Call, Running
from aiopaiio.local.sessions import OWNER, check_session, download_json
from aiopaiio.local.storage import Download, StoreError

__all__ = [
    "Instance",
    "create_instance",
    "create_instance_download",
    "get_instance",
    "read_instance_rows",
    "reload_instance_download",
    "stop_instance",
]

_KEPT_INSTANCES = 1000
_CSV_ROWS = 10_000


@dataclass(frozen=True, slots=True)
class Statement:
    """What a client asked to be run."""

    task_name: str
    sql: str
    settings: Mapping[str, str]
    priority: str


@dataclass(frozen=True, slots=True)
class Instance:
    """A statement that has been run. ``failure`` is its error text; ``result`` the rows of a SELECT; else ``text``."""

    id: str
    project: str
    statement: Statement
    started: float
    ended: float
    text: str = ""
    failure: str = ""
    result: Download | None = None


async def create_instance(running: Running, call: Call) -> web.StreamResponse:
    """Run the statement of the request. When it fails the request still succeeds, and the instance has the error."""
    body = await read_body(running, call)
    statement = _parse_statement(body)
    # A client that goes away does not undo its statement, nor the record of it.
    instance = await asyncio.shield(asyncio.ensure_future(_execute(running, call, statement)))
    location = f"http://{call.request.host}{SERVICE_PREFIX}/projects/{instance.project}/instances/{instance.id}"
    return web.Response(status=201, headers={"Location": location})


async def get_instance(running: Running, call: Call) -> web.StreamResponse:
    """One of the views of an instance."""
    instance = _find(running, call)
    query = call.query
    if "taskstatus" in query:
        return xml_answer(_task_status_xml(instance))
    if "result" in query:
        return xml_answer(await _result_xml(running, instance))
    if "source" in query:
        return xml_answer(_source_xml(instance))
    if any(view in query for view in ("cached", "instancesummary", "detail", "instancedetail", "instanceprogress")):
        return json_answer({})
    root = ElementTree.Element("Instance")
    child(root, "Status", "Terminated")
    headers = {
        "x-odps-owner": OWNER,
        "x-odps-start-time": formatdate(instance.started, usegmt=True),
        "x-odps-end-time": formatdate(instance.ended, usegmt=True),
    }
    return xml_answer(root, headers=headers)


async def stop_instance(running: Running, call: Call) -> web.StreamResponse:
    """There is never anything to stop."""
    _find(running, call)
    await read_body(running, call)
    raise Refused("InvalidStateSetting", "ODPS-0420061: the instance has ended already", status=409)


async def create_instance_download(running: Running, call: Call) -> web.StreamResponse:
    """A session on the rows of a SELECT. They were taken when it ran, so its sessions are all one."""
    return json_answer(download_json(_result(running, call), quota_name=quota_name(call)))


async def reload_instance_download(running: Running, call: Call) -> web.StreamResponse:
    """Describe the session again."""
    return json_answer(download_json(_result_session(running, call), quota_name=quota_name(call)))


async def read_instance_rows(running: Running, call: Call) -> web.StreamResponse:
    """Stream rows of a SELECT."""
    download = _result_session(running, call)
    with running.quotas.slot():
        return await send_rows(running, call, download, wide_timestamps=True)


def _find(running: Running, call: Call) -> Instance:
    instance = running.instances.get(call.operation.instance)
    if instance is None or instance.project != call.operation.project:
        raise Refused("NoSuchObject", "ODPS-0421111: Resource not found - the instance does not exist")
    return instance


def _result(running: Running, call: Call) -> Download:
    instance = _find(running, call)
    if instance.result is None:
        raise Refused("InstanceTypeNotSupported", "The instance has no rows as its result.")
    return instance.result


def _result_session(running: Running, call: Call) -> Download:
    download = _result(running, call)
    session = call.query.get("downloadid", "")
    check_session(running, session, "NoSuchDownload")
    if download.id != session:
        raise Refused("NoSuchDownload", "The specified download session is not one of this instance.")
    return download


async def _execute(running: Running, call: Call, statement: Statement) -> Instance:
    project = call.operation.project
    schema = statement.settings.get("odps.default.schema") or call.operation.schema or None
    started = time.time()
    outcome: dict[str, Any]

    try:
        done = await running.run(
            ddl.execute, running.store, project, statement.sql, schema=schema, settings=statement.settings, owner=OWNER
        )
    except StoreError as error:
        text = error.message if error.message.startswith("ODPS-") else f"ODPS-0010000:{error.code} - {error.message}"
        outcome = {"failure": text}
    else:
        outcome = {"result": done.download} if isinstance(done, ddl.ResultSet) else {"text": done.text}
    instance_id = f"{time.strftime('%Y%m%d%H%M%S', time.gmtime(started))}{secrets.token_hex(6)}"
    instance = Instance(instance_id, project, statement, started, time.time(), **outcome)
    running.instances[instance_id] = instance
    while len(running.instances) > _KEPT_INSTANCES:
        running.instances.popitem(last=False)
    return instance


def _parse_statement(body: bytes) -> Statement:
    try:
        text = body.decode("utf-8-sig")
        # Entities are how a small XML body becomes a large one; no client declares a document type.
        root = None if "<!DOCTYPE" in text else ElementTree.fromstring(text)
    except (UnicodeDecodeError, ElementTree.ParseError):
        root = None
    if root is None:
        raise Refused("MalformedXML", "The XML you provided was not well-formed.")
    task = root.find(".//Tasks/SQL")
    if task is None:
        raise Refused("NotImplemented", "Only SQL tasks can be run here.")
    settings: dict[str, str] = {}
    for entry in task.iterfind("./Config/Property"):
        if entry.findtext("Name") == "settings":
            settings = _settings(entry.findtext("Value") or "")
    return Statement(
        task_name=task.findtext("Name") or "AnonymousSQLTask",
        sql=task.findtext("Query") or "",
        settings=settings,
        priority=root.findtext(".//Priority") or "9",
    )


def _settings(text: str) -> dict[str, str]:
    try:
        given = json.loads(text or "{}")
    except ValueError:
        given = None
    if not isinstance(given, dict):
        raise Refused("InvalidArgument", "The settings of the task are not a JSON object.")
    return {str(key): str(value) for key, value in given.items()}


def _task_status_xml(instance: Instance) -> ElementTree.Element:
    root = ElementTree.Element("Instance")
    child(root, "Status", "Terminated")
    task = child(child(root, "Tasks"), "Task", Type="SQL")
    child(task, "Name", instance.statement.task_name)
    child(task, "StartTime", formatdate(instance.started, usegmt=True))
    child(task, "EndTime", formatdate(instance.ended, usegmt=True))
    child(task, "Status", "Failed" if instance.failure else "Success")
    return root


async def _result_xml(running: Running, instance: Instance) -> ElementTree.Element:
    text, form = instance.failure or instance.text, "text"
    if instance.result is not None:
        text, form = await running.run(_result_csv, running, instance.result), "csv"
    root = ElementTree.Element("Instance")
    task = child(child(root, "Tasks"), "Task", Type="SQL")
    child(task, "Name", instance.statement.task_name)
    child(task, "Result", base64.b64encode(text.encode()).decode("ascii"), Transform="Base64", Format=form)
    child(task, "Status", "Failed" if instance.failure else "Success")
    return root


def _result_csv(running: Running, download: Download) -> str:
    batches = running.store.read_rows(download.id, 0, min(_CSV_ROWS, download.row_count))
    return csv_text(batches, download.schema.columns)


def _source_xml(instance: Instance) -> ElementTree.Element:
    root = ElementTree.Element("Job")
    child(root, "Priority", instance.statement.priority)
    task = child(child(root, "Tasks"), "SQL")
    child(task, "Name", instance.statement.task_name)
    child(task, "Query", instance.statement.sql)
    return root
