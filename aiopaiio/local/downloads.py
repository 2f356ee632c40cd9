"""Download sessions of tables: create, reload, read rows."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from functools import partial

from aiohttp import web

from aiopaiio.compression import ENCODINGS
from aiopaiio.local.answer_body import send_pieces
from aiopaiio.local.answers import Refused, json_answer
from aiopaiio.local.faulting import first_of, with_wrong_row_count
from aiopaiio.local.faults import ShortBody, WrongRowCount
from aiopaiio.local.row_pieces import RowForm, row_pieces
from aiopaiio.local.running import Call, Running
from aiopaiio.local.sessions import download_json, find_download
from aiopaiio.local.storage import Download
from aiopaiio.local.wide_timestamps import widen_timestamps
from aiopaiio.schema import Column, arrow_wire_supported

__all__ = ["create_download", "quota_name", "read_rows", "reload_download", "send_rows"]

_ROW_RANGE = re.compile(r"\(\s*(\d{1,18})\s*,\s*(\d{1,18})\s*\)\Z")
_METRICS_VERSION = 6


async def create_download(running: Running, call: Call) -> web.StreamResponse:
    """Take a snapshot of a table or partition."""
    running.quotas.new_session(call.operation.project)
    download = await running.run(running.store.create_download, call.table, call.partition)
    return json_answer(download_json(download, quota_name=quota_name(call)))


async def reload_download(running: Running, call: Call) -> web.StreamResponse:
    """Describe a session again."""
    return json_answer(download_json(await find_download(running, call), quota_name=quota_name(call)))


async def read_rows(running: Running, call: Call) -> web.StreamResponse:
    """Stream a row range."""
    download = await find_download(running, call)
    with running.quotas.slot():
        return await send_rows(running, call, download)


def quota_name(call: Call) -> str:
    """The tunnel quota a client asked for; echoed, and otherwise without meaning here."""
    return call.query.get("quotaName", "")


async def send_rows(
    running: Running, call: Call, download: Download, *, wide_timestamps: bool = False
) -> web.StreamResponse:
    """Stream the row range, columns and wire form that the query of ``call`` asks for.

    ``wide_timestamps``: the Arrow form has TIMESTAMP as seconds and nanoseconds, as results of statements do.
    """
    began = time.monotonic()
    start, count = _row_range(call)
    count = max(0, min(count, download.row_count - start))
    arrow = "arrow" in call.query
    asked = call.columns()
    columns = _wire_columns(download, asked, table_order=arrow)
    names = None if asked is None else [column.name for column in columns]
    if arrow:
        await _check_arrow(running, download, columns, names, wide_timestamps=wide_timestamps)
    form = RowForm(
        columns,
        arrow,
        encoding=_encoding(call),
        wide_timestamps=wide_timestamps,
        metrics=partial(_metrics, began) if call.tunnel_version >= _METRICS_VERSION else None,
    )
    batches = await running.run(running.store.read_rows, download.id, start, count, names)
    if arrow and wide_timestamps:
        batches = map(widen_timestamps, batches)
    batches = with_wrong_row_count(batches, count, first_of(call.actions, WrongRowCount))
    headers = {"Content-Type": "application/octet-stream"}
    if form.encoding != "identity":
        headers["Content-Encoding"] = form.encoding
    return await send_pieces(running, call, row_pieces(batches, form, first_of(call.actions, ShortBody)), headers)


def _row_range(call: Call) -> tuple[int, int]:
    match = _ROW_RANGE.match(call.query.get("rowrange", "").strip())
    if match is None:
        raise Refused("InvalidRowRange", "The specified row range is not valid.")
    return int(match[1]), int(match[2])


def _wire_columns(download: Download, names: Sequence[str] | None, *, table_order: bool) -> list[Column]:
    """The columns of the answer: in the order asked in the record form, in table order in the Arrow form."""
    columns = list(download.schema.columns)
    if names is None:
        return columns
    by_name = {column.name: column for column in columns}
    unknown = [name for name in names if name not in by_name]
    if unknown or len(set(names)) < len(names):
        what = f"no column {unknown[0]!r}" if unknown else "a column is named twice"
        raise Refused("InvalidColumnSpec", f"The specified columns are not valid: {what}.")
    if table_order:
        asked = set(names)
        return [column for column in columns if column.name in asked]
    return [by_name[name] for name in names]


async def _check_arrow(
    running: Running,
    download: Download,
    columns: Sequence[Column],
    names: Sequence[str] | None,
    *,
    wide_timestamps: bool,
) -> None:
    if not arrow_wire_supported(columns):
        raise Refused("InvalidArgument", "INTERVAL_YEAR_MONTH has no Arrow form; read in the record form instead.")
    if wide_timestamps:
        return
    if await running.run(running.store.download_needs_record_form, download.id, names):
        raise Refused(
            "InvalidArgument",
            "A TIMESTAMP is outside of what the Arrow form can hold (the years 1677 to 2262); "
            "read in the record form instead.",
        )


def _encoding(call: Call) -> str:
    """The one encoding the client asks for. A list of several is some HTTP library's default, and gets no encoding."""
    asked = call.request.headers.get("Accept-Encoding", "identity").strip().lower()
    if not asked or "," in asked or asked in ("*", "gzip"):
        return "identity"
    if asked not in ENCODINGS:
        raise Refused("InvalidArgument", f"The encoding {asked[:40]!r} is not supported.")
    return asked


def _metrics(began: float) -> dict[str, int]:
    """The costs of a read in microseconds, as the service reports them at the end of a record stream."""
    total = int((time.monotonic() - began) * 1e6)
    return {"PanguIOCost": 0, "ServerIOCost": 0, "ServerTotalCost": total, "RateLimitCost": 0}
