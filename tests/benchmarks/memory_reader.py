"""One reader in a process of its own, whose memory is watched from outside.

``python -m tests.benchmarks.memory_reader TASK``, where TASK is a JSON object: ``path``, ``options`` of the reader,
``width`` and ``rows`` of the block that the table repeats, ``bytes_per_second`` at which batches are taken (null: as
they come), ``seconds`` after which to stop (null: at the end). Says ``ready`` when the reader is open, begins at the
next line of its standard input, compares every row with what the table holds, and says what it took as JSON.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import pyarrow as pa

import aiopaiio
from tests.benchmarks.made_rows import text_rows
from tests.benchmarks.repeated_rows import RowCheck


async def read(task: dict[str, Any]) -> dict[str, float]:
    """Do what the task says; raises ``WrongRows`` when a row is not the table's."""
    rows = RowCheck(text_rows(task["width"], task["rows"]))
    async with aiopaiio.Client() as client, client.open_reader(task["path"], **task["options"]) as reader:
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        began = time.perf_counter()
        byte_count = 0
        async with aclosing(_paced(reader, task["bytes_per_second"])) as batches:
            async for batch in batches:
                rows.take(batch)
                byte_count += batch.nbytes
                if task["seconds"] is not None and time.perf_counter() - began > task["seconds"]:
                    break
        if task["seconds"] is None:
            rows.require_rows(reader.row_count)
        return {"rows": rows.row_count, "bytes": byte_count, "seconds": time.perf_counter() - began}


async def _paced(reader: aiopaiio.TableReader, bytes_per_second: float | None) -> AsyncGenerator[pa.RecordBatch, None]:
    due = time.perf_counter()
    async for batch in reader:
        yield batch
        if bytes_per_second is not None:
            due = max(due, time.perf_counter()) + batch.nbytes / bytes_per_second
            await asyncio.sleep(due - time.perf_counter())


if __name__ == "__main__":
    print(json.dumps(asyncio.run(read(json.loads(sys.argv[1])))))
