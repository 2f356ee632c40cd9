"""A writer as a process of its own: ``python writing_process.py CONFIG PATH SLICE_ID STEP...``, steered by its input.

Steps: ``open`` (or ``open-shared FILE``, a pickled SharedUpload), ``write FIRST COUNT``, ``close``, ``wait`` (for a
line). After each step a line says ``done STEP`` or the class and text of the error, after which it ends.
"""

from __future__ import annotations

import asyncio
import pickle
import sys
from pathlib import Path

from expectations import numbered

from aiopaiio import Client, RetryPolicy, TableWriter, errors

RETRY = RetryPolicy(outage_seconds=20.0, throttle_seconds=20.0, first_wait_seconds=0.01, longest_wait_seconds=0.2)


async def main(config: str, path: str, slice_id: int, steps: list[str]) -> None:
    writer: TableWriter | None = None
    async with Client(config, project="demo", retry=RETRY) as client:
        while steps:
            step = steps.pop(0)
            if step == "open":
                writer = await client.open_writer(path, slice_id, block_bytes=1 << 16)
            elif step == "open-shared":
                shared = pickle.loads(await asyncio.to_thread(Path(steps.pop(0)).read_bytes))
                writer = await client.open_writer(path, slice_id, upload=shared, block_bytes=1 << 16)
            elif step == "wait":
                await asyncio.to_thread(sys.stdin.readline)
            elif step == "write":
                assert writer is not None
                await writer.write_batch(numbered(int(steps.pop(1)), start=int(steps.pop(0))))
            elif step == "close":
                assert writer is not None
                await writer.close()
            print(f"done {step}", flush=True)


if __name__ == "__main__":
    try:
        asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4:]))
    except errors.Error as error:
        print(f"{type(error).__name__}: {error}", flush=True)
