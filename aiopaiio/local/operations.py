"""Which operation a request is: method, path and query to a value. Knows every URL of the service; does nothing.

The service API lives under ``/api``, the tunnel at the root of the same port, so that neither address begins with
the other.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote

from aiopaiio.local.answers import Refused

__all__ = ["SERVICE_PREFIX", "Operation", "parse_operation"]

SERVICE_PREFIX = "/api"

# Projects come into being by being named, so not everything can be a name.
_PROJECT = re.compile(r"\w[\w-]{0,127}\Z")


@dataclass(frozen=True, slots=True)
class Operation:
    """One request, understood.

    ``name`` says what is asked for (``read_rows``, ``commit_upload``, ...; ``unknown`` when nothing here answers it);
    ``tunnel`` whether it came to the tunnel. ``path`` is decoded, without the service's prefix; ``query`` has decoded
    values, the last of a repeated name. Names of projects, schemas and tables are in lower case.
    """

    name: str
    tunnel: bool
    path: str
    query: dict[str, str] = field(hash=False)
    project: str = ""
    schema: str = ""
    table: str = ""
    instance: str = ""


def parse_operation(method: str, raw_target: str) -> Operation:
    """The operation of a request line. Raises :class:`Refused` (InvalidURI) when the target cannot be decoded."""
    raw_path, _, raw_query = raw_target.partition("?")
    tunnel = raw_path != SERVICE_PREFIX and not raw_path.startswith(SERVICE_PREFIX + "/")
    if not tunnel:
        raw_path = raw_path[len(SERVICE_PREFIX) :]
    try:
        query = dict(parse_qsl(raw_query, keep_blank_values=True, errors="strict", max_num_fields=1000))
        parts = [unquote(part, errors="strict") for part in raw_path.split("/")[1:]]
        path = unquote(raw_path, errors="strict")
    except ValueError:
        raise Refused("InvalidURI", "Couldn't parse the specified URI.") from None
    names = _names(parts)
    if names is None:
        name = _fixed_operation(method, tunnel, parts)
        return Operation(name, tunnel, path, query)
    # An explicit schema in the path wins over the one in the query.
    schema = names.pop("schema", None) or query.get("curr_schema", "")
    choose = _tunnel_operation if tunnel else _service_operation
    kind = names.pop("kind")
    if not _PROJECT.match(names["project"]):
        raise Refused("NoSuchProject", "The specified project name is not valid.")
    name = choose(method, kind, query) or "unknown"
    return Operation(name, tunnel, path, query, schema=schema.lower(), **names)


def _names(parts: list[str]) -> dict[str, str] | None:
    """The names in ``projects/P[/schemas/S]/...`` and the kind of thing that is named."""
    if len(parts) < 2 or parts[0] != "projects" or not parts[1]:
        return None
    names = {"project": parts[1].lower()}
    rest = parts[2:]
    if len(rest) >= 2 and rest[0] == "schemas":
        names["schema"] = rest[1]
        rest = rest[2:] or ["schemas"]
    match rest:
        case [("tables" | "instances") as kind]:
            names["kind"] = kind
        case ["tables", table]:
            names |= {"kind": "table", "table": table.lower()}
        case ["tables", table, ("preview" | "streams" | "upserts") as kind]:
            names |= {"kind": kind, "table": table.lower()}
        case ["instances", instance]:
            names |= {"kind": "instance", "instance": instance}
        case _:
            names["kind"] = "/".join(rest)
    return names


def _fixed_operation(method: str, tunnel: bool, parts: list[str]) -> str:
    if tunnel or method != "GET":
        return "unknown"
    return {"logview/host": "logview", "tenants": "tenant", "projects": "list_projects"}.get("/".join(parts), "unknown")


def _tunnel_operation(method: str, kind: str, query: dict[str, str]) -> str:
    match method, kind:
        case "POST", "table":
            return _first(query, downloads="create_download", uploads="create_upload", uploadid="commit_upload")
        case "GET", "table":
            return _first(query, data="read_rows", downloadid="reload_download", uploadid="reload_upload")
        case "PUT", "table":
            return _first(query, uploadid="put_block")
        case "GET", "preview":
            return "preview"
        case "POST", "instance":
            return _first(query, downloads="create_instance_download")
        case "GET", "instance":
            return _first(query, data="read_instance_rows", downloadid="reload_instance_download")
        case _, ("streams" | "upserts"):
            return kind
        case _:
            return "unknown"


def _service_operation(method: str, kind: str, query: dict[str, str]) -> str:
    match method, kind:
        case "GET", "":
            return "get_project"
        case "GET", "tunnel":
            return "tunnel_lookup"
        case "PUT", "logs":
            return "usage_log"
        case "GET", "tables":
            return "list_tables"
        case "GET", "table":
            return _first(query, data="head", partitions="list_partitions", partition="get_partition") or "get_table"
        case "POST", "instances":
            return "instance"
        case (("GET" | "PUT"), "instance"):
            return "get_instance" if method == "GET" else "stop_instance"
        case _:
            return "unknown"


def _first(query: dict[str, str], **names: str) -> str:
    return next((operation for parameter, operation in names.items() if parameter in query), "")
