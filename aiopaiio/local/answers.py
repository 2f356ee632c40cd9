"""Answers of the service: refusals with MaxCompute's codes, and the XML and JSON bodies they and others come in."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any
from xml.etree import ElementTree

from aiohttp import web

__all__ = ["REQUEST_ID", "Refused", "child", "json_answer", "refusal_answer", "xml_answer"]

REQUEST_ID = "x-odps-request-id"
"""The header that every answer carries."""

HOST_ID = "localhost"

# What XML 1.0 cannot carry even escaped; such characters can occur in comments.
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

_STATUS: dict[str, int] = {
    "AccessDenied": 403,
    "AuthenticationRequestExpired": 401,
    "AuthorizationRequired": 401,
    "DataStoreError": 500,
    "DataVersionConflict": 409,
    "FlowExceeded": 429,
    "InternalServerError": 500,
    "MethodNotAllowed": 405,
    "NoPermission": 403,
    "NoSuchData": 404,
    "NoSuchDownload": 404,
    "NoSuchObject": 404,
    "NoSuchPartition": 404,
    "NoSuchProject": 404,
    "NoSuchSchema": 404,
    "NoSuchTable": 404,
    "NoSuchUpload": 404,
    "NotImplemented": 501,
    "ObjectAlreadyExists": 409,
    "ObjectModified": 409,
    "RequestTimeOut": 408,
    "RequestTimeTooSkewed": 401,
    "SchemaModified": 412,
    "ServiceUnavailable": 503,
    "SignatureNotMatch": 401,
    "SlotExceeded": 429,
    "StatusConflict": 409,
    "StreamSessionNotFound": 404,
    "TableModified": 412,
    "Unauthorized": 401,
    "UpsertSessionNotFound": 404,
    "ODPS-0010000": 500,
    "ODPS-0130013": 403,
    "ODPS-0130131": 404,
    "ODPS-0410042": 401,
    "ODPS-0410051": 401,
}


class Refused(Exception):
    """A request that gets an error for an answer. ``status`` follows from the code (400 when it is unknown)."""

    def __init__(
        self, code: str, message: str, *, status: int | None = None, retry_after_seconds: float | None = None
    ) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status if status is not None else _STATUS.get(code, 400)
        self.retry_after_seconds = retry_after_seconds


def json_answer(body: Mapping[str, Any], *, status: int = 200) -> web.Response:
    """A JSON answer of the tunnel."""
    return web.Response(status=status, body=json.dumps(body).encode(), content_type="application/json", charset="utf-8")


def xml_answer(
    root: ElementTree.Element, *, status: int = 200, headers: Mapping[str, str] | None = None
) -> web.Response:
    """An XML answer of the service API."""
    body = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return web.Response(status=status, body=body, content_type="application/xml", charset="utf-8", headers=headers)


def child(parent: ElementTree.Element, tag: str, text: object = "", **attributes: str) -> ElementTree.Element:
    """Append ``<tag attributes>text</tag>`` to ``parent``; characters XML cannot hold become U+FFFD."""
    element = ElementTree.SubElement(parent, tag, {name: _xml_text(value) for name, value in attributes.items()})
    element.text = _xml_text(str(text))
    return element


def refusal_answer(refused: Refused, *, tunnel: bool, request_id: str) -> web.Response:
    """The error body: JSON from the tunnel, XML with its four children from the service API."""
    if tunnel:
        answer = json_answer(
            {"Code": refused.code, "Message": refused.message, "RequestId": request_id, "HostId": HOST_ID},
            status=refused.status,
        )
    else:
        root = ElementTree.Element("Error")
        child(root, "Code", refused.code)
        child(root, "Message", refused.message)
        child(root, "RequestId", request_id)
        child(root, "HostId", HOST_ID)
        answer = xml_answer(root, status=refused.status)
    if refused.retry_after_seconds is not None:
        answer.headers["Retry-After"] = str(max(0, math.ceil(refused.retry_after_seconds)))
    return answer


def _xml_text(text: str) -> str:
    return _NOT_XML.sub("\ufffd", text)
