"""Upload sessions: create, reload, put a block, commit."""

from __future__ import annotations

import asyncio

from aiohttp import web

from aiopaiio.compression import ENCODINGS
from aiopaiio.local.answers import Refused, json_answer
from aiopaiio.local.blocks import BlockReceiver
from aiopaiio.local.downloads import quota_name
from aiopaiio.local.request_body import body_pieces
from aiopaiio.local.running import Call, Running
from aiopaiio.local.sessions import find_upload, upload_json
from aiopaiio.local.storage import Upload
from aiopaiio.schema import arrow_wire_supported

__all__ = ["commit_upload", "create_upload", "put_block", "reload_upload"]


async def create_upload(running: Running, call: Call) -> web.StreamResponse:
    """Open a session on a table or partition, which may be made for it."""
    running.quotas.new_session(call.operation.project)
    upload = await running.run(
        running.store.create_upload,
        call.table,
        call.partition,
        overwrite=call.flag("overwrite"),
        create_partition=call.flag("create_partition"),
    )
    return _described(running, call, upload, status=201)


async def reload_upload(running: Running, call: Call) -> web.StreamResponse:
    """Describe a session with the blocks it has by now."""
    return _described(running, call, await find_upload(running, call))


async def commit_upload(running: Running, call: Call) -> web.StreamResponse:
    """Make all blocks visible at once. A session that is closed already answers the same again."""
    upload = await find_upload(running, call)
    closed = await running.run(running.store.commit_upload, upload.id)
    return _described(running, call, closed)


async def put_block(running: Running, call: Call) -> web.StreamResponse:
    """Receive one block; it counts only when its body was complete and right, and replaces one of the same id."""
    upload = await find_upload(running, call)
    block_id = call.integer("blockid", code="InvalidBlockID")
    encoding = call.request.headers.get("Content-Encoding", "identity").strip().lower() or "identity"
    if encoding not in ENCODINGS:
        raise Refused("InvalidArgument", f"The encoding {encoding[:40]!r} is not supported.", status=415)
    arrow = "arrow" in call.query
    if arrow and not arrow_wire_supported(upload.schema.columns):
        raise Refused("InvalidArgument", "INTERVAL_YEAR_MONTH has no Arrow form; write in the record form instead.")
    with running.quotas.slot():
        await _receive(running, call, upload, block_id, arrow=arrow, encoding=encoding)
    return web.Response(headers={"odps-tunnel-metrics": '{"ServerTotalCost": 0}'})


async def _receive(running: Running, call: Call, upload: Upload, block_id: int, *, arrow: bool, encoding: str) -> None:
    receiver = BlockReceiver(running.store, upload, block_id, running.limits, arrow=arrow, encoding=encoding)
    storing: asyncio.Future[None] | None = None
    try:
        async for pieces in body_pieces(running, call, running.limits.block_bytes):
            # The next pieces come in while these are being stored.
            if storing is not None:
                await asyncio.shield(storing)
            storing = asyncio.ensure_future(running.run(receiver.feed, pieces))
        if storing is not None:
            await asyncio.shield(storing)
        await running.run(receiver.commit)
    except BaseException:
        if storing is not None:
            # Its own failure, if that is what led here, is the one being raised.
            storing.add_done_callback(lambda done: done.cancelled() or done.exception())
        await asyncio.shield(running.run(receiver.abort))
        raise


def _described(running: Running, call: Call, upload: Upload, *, status: int = 200) -> web.StreamResponse:
    described = upload_json(upload, quota_name=quota_name(call), max_field_bytes=running.limits.field_bytes)
    return json_answer(described, status=status)
