"""SQL statements as instances of the service: submitted, waited for, their result read."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from xml.etree import ElementTree

import anyio

from aiopaiio import errors
from aiopaiio.http import Answer, Request
from aiopaiio.service_api import ServiceApi, parse_xml

__all__ = ["run_statement"]

_FIRST_POLL_SECONDS = 0.1
_LONGEST_POLL_SECONDS = 5.0


async def run_statement(
    service: ServiceApi, project: str, schema: str | None, statement: str, settings: Mapping[str, str]
) -> str:
    """Run one SQL statement to its end and return its result text; a failed one raises what MaxCompute says."""
    # Without this flag a project may refuse INT, TIMESTAMP and the other types of MaxCompute 2.0.
    flags = {"odps.sql.type.system.odps2": "true"}
    if schema:
        flags |= {
            "odps.sql.allow.namespace.schema": "true",
            "odps.namespace.schema": "true",
            "odps.default.schema": schema,
        }
    query = [("curr_project", project)] + ([("curr_schema", schema)] if schema else [])
    job = _sql_job(statement, flags | dict(settings))
    # Not repeated: a statement whose answer was lost may have run.
    submitted = await service.http.send(
        Request(
            "POST",
            service.config.endpoint,
            f"/projects/{project}/instances",
            tuple(query),
            {"Content-Type": "application/xml"},
            body=job,
            region=service.config.region,
        )
    )
    instance = submitted.headers.get("Location", "").rstrip("/").rpartition("/")[2]
    path = f"/projects/{project}/instances/{instance}"
    wait = _FIRST_POLL_SECONDS
    while True:
        state = await service.get(path, [*query, ("taskstatus", "")], parse_xml)
        status = state.findtext(".//Tasks/Task/Status") or ""
        if status not in ("Running", "Waiting", "Suspended"):
            break
        await anyio.sleep(wait)
        wait = min(2 * wait, _LONGEST_POLL_SECONDS)
    result, request_id = await service.get(path, [*query, ("result", "")], _result_text)
    if status != "Success":
        code = result.partition(":")[0].strip() if result.startswith("ODPS-") else ""
        raise errors.server_error(code, 200, result or status, request_id=request_id)
    return result


def _sql_job(statement: str, flags: Mapping[str, str]) -> bytes:
    job = ElementTree.Element("Instance")
    parent = ElementTree.SubElement(job, "Job")
    ElementTree.SubElement(parent, "Priority").text = "9"
    sql = ElementTree.SubElement(ElementTree.SubElement(parent, "Tasks"), "SQL")
    ElementTree.SubElement(sql, "Name").text = "AnonymousSQLTask"
    configured = ElementTree.SubElement(ElementTree.SubElement(sql, "Config"), "Property")
    ElementTree.SubElement(configured, "Name").text = "settings"
    ElementTree.SubElement(configured, "Value").text = json.dumps(flags)
    text = statement.strip()
    ElementTree.SubElement(sql, "Query").text = text if text.endswith(";") else f"{text};"
    ElementTree.SubElement(ElementTree.SubElement(parent, "DAG"), "RunMode").text = "Sequence"
    return bytes(ElementTree.tostring(job, encoding="utf-8", xml_declaration=True))


def _result_text(answer: Answer) -> tuple[str, str | None]:
    """The result of a statement, and the id of the request that told it."""
    result = parse_xml(answer).find(".//Tasks/Task/Result")
    if result is None or not result.text:
        return "", answer.request_id
    if result.get("Transform") != "Base64":
        return result.text, answer.request_id
    try:
        return base64.b64decode(result.text).decode("utf-8", "replace"), answer.request_id
    except ValueError as error:
        raise errors.MalformedStreamError("the result is not Base64", request_id=answer.request_id) from error
