"""The first rows of a table: as a plain Arrow stream from the tunnel, as CSV from the service API."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence

import pyarrow as pa
from aiohttp import web

from aiopaiio.local.answer_body import send_pieces
from aiopaiio.local.answers import Refused
from aiopaiio.local.csv_text import csv_text
from aiopaiio.local.row_pieces import Piece
from aiopaiio.local.running import Call, Running
from aiopaiio.local.storage import Download
from aiopaiio.local.wide_timestamps import widen_timestamps
from aiopaiio.schema import Column, arrow_schema, arrow_wire_supported

__all__ = ["head", "preview"]

_BUFFER_COMPRESSION = {"zstd": "zstd", "lz4_frame": "lz4", "x-lz4-frame": "lz4"}


async def preview(running: Running, call: Call) -> web.StreamResponse:
    """An Arrow stream with its schema and without frames; the partition columns are ordinary columns.

    ``limit=-1`` is as many rows as a preview may have. ``Accept-Encoding`` names a compression of the Arrow buffers.
    """
    limit = call.integer("limit", default=-1)
    scan = await _scan(running, call, limit, call.columns())
    columns = scan.schema.columns
    if not arrow_wire_supported(columns):
        raise Refused("InvalidArgument", "INTERVAL_YEAR_MONTH has no Arrow form and cannot be previewed.")
    batches = await running.run(running.store.read_rows, scan.id, 0, scan.row_count)
    compression = _BUFFER_COMPRESSION.get(call.request.headers.get("Accept-Encoding", "").strip().lower())
    headers = {"Content-Type": "application/octet-stream"}
    return await send_pieces(running, call, _ipc_stream(batches, columns, compression), headers, rows=False)


async def head(running: Running, call: Call) -> web.StreamResponse:
    """CSV of the first rows; PyODPS falls back to it when there is no preview."""
    names = [name.strip().lower() for name in call.query.get("cols", "").split(",") if name.strip()]
    scan = await _scan(running, call, call.integer("linenum", default=-1), names or None)

    def text() -> str:
        batches = running.store.read_rows(scan.id, 0, scan.row_count)
        return csv_text(batches, scan.schema.columns)

    return web.Response(text=await running.run(text), content_type="text/csv", charset="utf-8")


async def _scan(running: Running, call: Call, limit: int, names: Sequence[str] | None) -> Download:
    most = running.limits.preview_rows
    return await running.run(
        running.store.create_scan,
        call.table,
        partitions=[call.partition] if call.partition else None,
        columns=names,
        limit=most if limit < 0 else min(limit, most),
    )


def _ipc_stream(
    batches: Iterator[pa.RecordBatch], columns: Sequence[Column], compression: str | None
) -> Iterator[Piece]:
    schema = arrow_schema(columns, wide_timestamps=True)
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, schema, options=pa.ipc.IpcWriteOptions(compression=compression)) as writer:
        for batch in batches:
            writer.write_batch(widen_timestamps(batch).cast(schema))
            yield [sink.getvalue()]
            # A BytesIO that is not closed by its writer: Arrow goes on writing where it left off.
            sink.seek(0)
            sink.truncate()
    yield [sink.getvalue()]
