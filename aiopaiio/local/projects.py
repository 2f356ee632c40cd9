"""Projects, the tenant, and where the tunnel is. A project that is named exists."""

from __future__ import annotations

from email.utils import formatdate
from xml.etree import ElementTree

from aiohttp import web

from aiopaiio.local.answers import child, json_answer, xml_answer
from aiopaiio.local.request_body import read_body
from aiopaiio.local.running import Call, Running
from aiopaiio.local.sessions import OWNER

__all__ = ["DEFAULT_PROJECT", "get_project", "list_projects", "logview", "tenant", "tunnel_lookup", "usage_log"]

DEFAULT_PROJECT = "demo"

# How long a string may be, in KiB: PyODPS looks there.
_FIELD_KIB = "odps.sql.cfile2.field.maxsize"


async def tunnel_lookup(running: Running, call: Call) -> web.StreamResponse:
    """``host:port`` of the tunnel: the address the client reached this service by, which may be a forwarded one."""
    return web.Response(text=call.request.host)


async def get_project(running: Running, call: Call) -> web.StreamResponse:
    """Describe a project."""
    name = call.operation.project
    root = ElementTree.Element("Project")
    if "extended" in call.query:
        child(root, "ExtendedProperties")
    else:
        _describe(root, name)
        properties = child(root, "Properties")
        values = {_FIELD_KIB: str(running.limits.field_bytes >> 10), "odps.sql.type.system.odps2": "true"}
        for key, value in values.items():
            entry = child(properties, "Property")
            child(entry, "Name", key)
            child(entry, "Value", value)
    made = formatdate(0, usegmt=True)
    return xml_answer(root, headers={"x-odps-owner": OWNER, "x-odps-creation-time": made, "Last-Modified": made})


async def list_projects(running: Running, call: Call) -> web.StreamResponse:
    """List the projects that hold something, and the default one."""
    names = {DEFAULT_PROJECT, *await running.run(running.store.list_projects)}
    root = ElementTree.Element("Projects")
    child(root, "Marker")
    child(root, "MaxItems", len(names))
    for name in sorted(names):
        _describe(child(root, "Project"), name)
    return xml_answer(root)


async def logview(running: Running, call: Call) -> web.StreamResponse:
    """Where a web page about statements would be; there is none, but clients ask."""
    return web.Response(text=f"http://{call.request.host}")


async def tenant(running: Running, call: Call) -> web.StreamResponse:
    """The tenant; its parameters tell clients whether names have three levels."""
    parameters = {"odps.namespace.schema": "false"}
    return json_answer({"Tenant": {"Name": OWNER, "OwnerId": OWNER, "Parameters": parameters}})


async def usage_log(running: Running, call: Call) -> web.StreamResponse:
    """PyODPS reports which of its functions are used; read and dropped."""
    await read_body(running, call)
    return web.Response()


def _describe(root: ElementTree.Element, name: str) -> None:
    child(root, "Name", name)
    child(root, "Type", "managed")
    child(root, "Comment")
    child(root, "Owner", OWNER)
    child(root, "CreationTime", formatdate(0, usegmt=True))
    child(root, "State", "AVAILABLE")
