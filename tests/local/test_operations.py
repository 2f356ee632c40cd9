"""Request lines to operations."""

from __future__ import annotations

import pytest

from aiopaiio.local.answers import Refused
from aiopaiio.local.operations import parse_operation


@pytest.mark.parametrize(
    ("method", "target", "name"),
    [
        ("GET", "/api/logview/host?curr_project=p", "logview"),
        ("GET", "/logview/host", "unknown"),
        ("GET", "/api/tenants", "tenant"),
        ("GET", "/api/projects?expectmarker=true", "list_projects"),
        ("GET", "/api/projects/p", "get_project"),
        ("GET", "/api/projects/p/tunnel?service", "tunnel_lookup"),
        ("PUT", "/api/projects/p/logs", "usage_log"),
        ("GET", "/api/projects/p/tables?expectmarker=true", "list_tables"),
        ("GET", "/api/projects/p/tables/t", "get_table"),
        ("GET", "/api/projects/p/tables/t?extended", "get_table"),
        ("GET", "/api/projects/p/tables/t?partitions&expectmarker=true&partition=ds='1'", "list_partitions"),
        ("GET", "/api/projects/p/tables/t?partition=ds='1'", "get_partition"),
        ("GET", "/api/projects/p/tables/t?data&linenum=3", "head"),
        ("POST", "/api/projects/p/instances", "instance"),
        ("GET", "/api/projects/p/instances/i?taskstatus", "get_instance"),
        ("PUT", "/api/projects/p/instances/i", "stop_instance"),
        ("POST", "/projects/p/tables/t?downloads=&asyncmode=true", "create_download"),
        ("GET", "/projects/p/tables/t?downloadid=d", "reload_download"),
        ("GET", "/projects/p/tables/t?downloadid=d&data=&rowrange=(0,1)", "read_rows"),
        ("POST", "/projects/p/tables/t?uploads=1", "create_upload"),
        ("GET", "/projects/p/tables/t?uploadid=u", "reload_upload"),
        ("PUT", "/projects/p/tables/t?uploadid=u&blockid=1", "put_block"),
        ("POST", "/projects/p/tables/t?uploadid=u", "commit_upload"),
        ("GET", "/projects/p/schemas/s/tables/t/preview?limit=1", "preview"),
        ("POST", "/projects/p/instances/i?downloads", "create_instance_download"),
        ("GET", "/projects/p/instances/i?downloadid=d", "reload_instance_download"),
        ("GET", "/projects/p/instances/i?downloadid=d&data", "read_instance_rows"),
        ("POST", "/projects/p/tables/t/streams", "streams"),
        ("POST", "/projects/p/tables/t/upserts", "upserts"),
        ("DELETE", "/projects/p/tables/t", "unknown"),
        ("GET", "/projects/p/tables/t", "unknown"),
        ("GET", "/", "unknown"),
        ("GET", "/api", "unknown"),
        ("GET", "//", "unknown"),
        ("POST", "/projects//tables/t?downloads", "unknown"),
    ],
)
def test_names(method: str, target: str, name: str) -> None:
    operation = parse_operation(method, target)
    assert operation.name == name
    assert operation.tunnel is not target.startswith("/api")


def test_names_are_decoded_and_lower_case() -> None:
    operation = parse_operation("POST", "/projects/P%31/schemas/S/tables/T%C3%A9?downloads&partition=ds%3D%2Ba")
    assert (operation.project, operation.schema, operation.table) == ("p1", "s", "té")
    assert operation.path == "/projects/P1/schemas/S/tables/Té"
    assert operation.query == {"downloads": "", "partition": "ds=+a"}


def test_the_schema_may_be_in_the_query() -> None:
    assert parse_operation("GET", "/api/projects/p/tables/t?curr_schema=S").schema == "s"


def test_an_encoded_slash_does_not_make_another_part() -> None:
    assert parse_operation("GET", "/api/projects/p/tables/..%2F..%2Fetc").table == "../../etc"


@pytest.mark.parametrize("name", ["..", "a%2Fb", "a.b", "%00", "a" * 129, "-a"])
def test_project_names_that_cannot_be(name: str) -> None:
    with pytest.raises(Refused) as refused:
        parse_operation("GET", f"/api/projects/{name}")
    assert (refused.value.code, refused.value.status) == ("NoSuchProject", 404)


@pytest.mark.parametrize("target", ["/projects/%ff", "/projects/p?a=%ff", "/projects/p?" + "a&" * 1001])
def test_targets_that_cannot_be_decoded(target: str) -> None:
    with pytest.raises(Refused) as refused:
        parse_operation("GET", target)
    assert (refused.value.code, refused.value.status) == ("InvalidURI", 400)
