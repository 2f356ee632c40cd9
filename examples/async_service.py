"""A web service that streams a table to its clients, each at its own pace.

    python examples/async_service.py                            a generated table, nothing else needed
    python examples/async_service.py odps://PROJECT/tables/T    a table of yours, found by ODPS_CONFIG_FILE_PATH

    GET /rows     one JSON object a line
    GET /arrow    an Arrow IPC stream, for pyarrow.ipc.open_stream and the like

Both take ?columns=a,b and ?slice_id=0&slice_count=4. A client that reads slowly slows down its own download from
MaxCompute and nobody else's: rows are asked for as it takes them, and what waits for it stays within a few megabytes.
When a read fails half-way the connection is cut, so no client takes a part for the whole.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import io
import json
from collections.abc import AsyncIterator, Iterator
from datetime import datetime, timedelta

import numpy as np
import pyarrow as pa
from aiohttp import web

import aiopaiio
from trial_service import PROJECT, trial_service

CLIENT = web.AppKey("client", aiopaiio.Client)
TABLE = web.AppKey("table", str)

MEMORY_LIMIT_BYTES = 32 << 20
"""What one request may hold; a hundred slow clients hold a hundred times this at most."""

ROWS_PER_WRITE = 1000


async def stream_rows(request: web.Request) -> web.StreamResponse:
    """GET /rows."""
    async with await open_reader(request) as reader:
        response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
        await response.prepare(request)
        async for batch in reader:
            for start in range(0, batch.num_rows, ROWS_PER_WRITE):
                rows = batch.slice(start, ROWS_PER_WRITE).to_pylist()
                lines = "".join(json.dumps(row, default=str) + "\n" for row in rows)
                # This waits while the client is behind. No row is taken from the reader meanwhile, so the reader
                # stops downloading as soon as its memory limit is reached.
                await response.write(lines.encode())
        await response.write_eof()
    return response


async def stream_arrow(request: web.Request) -> web.StreamResponse:
    """GET /arrow."""
    async with await open_reader(request) as reader:
        response = web.StreamResponse(headers={"Content-Type": "application/vnd.apache.arrow.stream"})
        await response.prepare(request)
        pending = io.BytesIO()
        stream = pa.ipc.new_stream(pending, reader.schema)
        async for batch in reader:
            stream.write_batch(batch)
            await response.write(pending.getvalue())
            pending.seek(0)
            pending.truncate()
        stream.close()  # only now, after the last row: it writes the mark of a whole stream
        await response.write(pending.getvalue())
        await response.write_eof()
    return response


async def open_reader(request: web.Request) -> aiopaiio.TableReader:
    """The reader a request asks for; what cannot be read is answered before the first row is sent."""
    query = request.query
    try:
        return await request.app[CLIENT].open_reader(
            request.app[TABLE],
            query.get("columns"),
            slice_id=int(query.get("slice_id", "0")),
            slice_count=int(query.get("slice_count", "1")),
            memory_limit_bytes=MEMORY_LIMIT_BYTES,
        )
    except ValueError as error:  # an unknown column, a slice that is none, a number that is none
        raise web.HTTPBadRequest(text=f"{error}\n") from error
    except aiopaiio.NoSuchObject as error:
        raise web.HTTPNotFound(text=f"{error}\n") from error
    except aiopaiio.Error as error:
        raise web.HTTPServiceUnavailable(text=f"{error}\n") from error


async def one_client(app: web.Application) -> AsyncIterator[None]:
    """One MaxCompute client, with its pool of connections, for the life of the application."""
    async with aiopaiio.Client() as client:
        if app[TABLE] == TRIAL_TABLE:
            await make_trial_table(client)
        app[CLIENT] = client
        yield


def make_application(table: str) -> web.Application:
    """The application that serves one table."""
    app = web.Application()
    app[TABLE] = table
    app.cleanup_ctx.append(one_client)
    app.add_routes([web.get("/rows", stream_rows), web.get("/arrow", stream_arrow)])
    return app


async def serve(table: str, host: str, port: int) -> None:
    """Run until cancelled."""
    runner = web.AppRunner(make_application(table), handler_cancellation=True, shutdown_timeout=1)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        address = "http://{}:{}".format(*runner.addresses[0][:2])
        print(f"serving {table} at {address}")
        print(f"try: curl -s '{address}/rows?columns=id,temperature' | head", flush=True)
        await asyncio.Event().wait()
    finally:
        await runner.cleanup()


# ----------------------------------------------------------------------------------------------------- the trial table

TRIAL_TABLE = f"odps://{PROJECT}/tables/readings"
TRIAL_ROWS = 200_000


async def make_trial_table(client: aiopaiio.Client) -> None:
    """Readings of a thermometer, one a second."""
    await client.execute_sql("CREATE TABLE readings (id BIGINT, measured_at DATETIME, temperature DOUBLE)")
    async with client.open_writer(TRIAL_TABLE) as writer:
        for batch in trial_batches():
            await writer.write_batch(batch)


def trial_batches() -> Iterator[pa.RecordBatch]:
    random = np.random.default_rng(7)
    first = datetime(2024, 1, 1)
    for start in range(0, TRIAL_ROWS, 50_000):
        ids = np.arange(start, start + 50_000)
        times = pa.array([first + timedelta(seconds=second) for second in ids.tolist()], pa.timestamp("ms"))
        yield pa.record_batch({"id": ids, "measured_at": times, "temperature": random.normal(20, 3, len(ids)).round(2)})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", nargs="?", help="odps://PROJECT/tables/TABLE[/KEY=VALUE...]")
    parser.add_argument("--host", default="127.0.0.1", help="(%(default)s)")
    parser.add_argument("--port", type=int, default=8080, help="0 takes a free one (%(default)s)")
    options = parser.parse_args()
    service = contextlib.nullcontext() if options.table else trial_service()
    with service, contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve(options.table or TRIAL_TABLE, options.host, options.port))


if __name__ == "__main__":
    main()
