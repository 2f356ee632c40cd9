"""Starts the service again and again, on one port: ``python serving_process.py ROOT``, and a line for each start.

Everything is imported once, and each service is a forked child of its own. The one before must have been killed, or
is about to be. For each line of input it prints ``PID PORT`` when the service accepts connections, or what went wrong.
The keys are always ``me`` and ``secret``.
"""

from __future__ import annotations

import asyncio
import os
import socket
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
    # Held while no service is running: else the system might give the port to a connection, even to one that looks for
    # the service.
    held = socket.socket()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.bind(("127.0.0.1", 0))
    child = 0
    while sys.stdin.readline():
        if child:
            os.waitpid(child, 0)
        child = os.fork()
        if not child:
            asyncio.run(run(sys.argv[1], held.getsockname()[1]))
            os._exit(1)
