"""Starts the service again and again: ``python serving_process.py ROOT``; each line of input is a port (0: any).

Everything is imported once, and each service is a forked child of its own. The one before must have been killed, or
is about to be. For each line of input it prints ``PID PORT`` when the service accepts connections, or what went wrong.
The keys are always ``me`` and ``secret``.
"""

from __future__ import annotations

import asyncio
import os
import sys

from aiopaiio.local import serve


async def run(root: str, port: int) -> None:
    try:
        async with serve(root, port=port, access_id="me", access_key="secret") as service:
            print(os.getpid(), service.port, flush=True)
            await asyncio.get_running_loop().create_future()
    except Exception as error:
        print(repr(error), flush=True)


if __name__ == "__main__":
    child = 0
    while line := sys.stdin.readline():
        if child:
            os.waitpid(child, 0)
        child = os.fork()
        if not child:
            asyncio.run(run(sys.argv[1], int(line)))
            os._exit(1)
