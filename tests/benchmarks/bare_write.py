"""The wall of a write: the requests that it needs, sent by plain aiohttp, with bodies that were ready before."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Sequence

import aiohttp
import pyarrow as pa

from aiopaiio.arrow_stream import ArrowStreamEncoder
from tests.benchmarks.bare_read import bare_request
from tests.benchmarks.service_process import ServiceProcess

__all__ = ["arrow_body", "bare_write"]

_PIECE_BYTES = 1 << 20


def arrow_body(batches: Iterable[pa.RecordBatch], schema: pa.Schema) -> bytes:
    """The rows of one block on the wire."""
    encoder = ArrowStreamEncoder(schema)
    pieces = [piece for batch in batches for piece in encoder.encode(batch)]
    return b"".join([*pieces, encoder.finish()])


async def bare_write(service: ServiceProcess, table: str, bodies: Sequence[bytes]) -> None:
    """Make an upload session of ``table`` (``/projects/P/tables/T``), send each body as a block, and commit them.

    The blocks are on their way at the same time.
    """
    async with aiohttp.ClientSession() as http:
        async with bare_request(http, service, "POST", f"{table}?uploads=1") as response:
            session = json.loads(await response.read())["UploadID"]

        async def put(block: int, body: bytes) -> None:
            pieces = [body[start : start + _PIECE_BYTES] for start in range(0, len(body), _PIECE_BYTES)]
            target = f"{table}?uploadid={session}&blockid={block}&arrow"
            async with bare_request(http, service, "PUT", target, pieces) as response:
                await response.read()

        await asyncio.gather(*(put(block, body) for block, body in enumerate(bodies)))
        async with bare_request(http, service, "POST", f"{table}?uploadid={session}") as response:
            await response.read()
