"""A program for the kill tests: forks writers on demand, each of which commits until it is killed.

Usage: ``python crash_writer.py ROOT``. For every line ``FIRST LAST`` on standard input it forks a child that makes
the commits FIRST, FIRST + 1, ... LAST and says ``done NUMBER`` when each has been acknowledged; ``pid NUMBER`` comes
first and ``ended`` last. Forking spares each of the many children the start of an interpreter.

Commit N appends N's rows to table ``log`` in three blocks (one of them sent twice), then makes N's rows the only ones
of table ``latest``.
"""

from __future__ import annotations

import os
import sys

import pyarrow as pa

from aiopaiio.local.storage import Store, TableName

LOG = TableName("crash", None, "log")
LATEST = TableName("crash", None, "latest")
BLOCKS = 3
ROWS = 50


def rows(number: int, block: int) -> pa.RecordBatch:
    return pa.record_batch([pa.array([number] * ROWS), pa.array([block] * ROWS)], names=["number", "block"])


def commit(store: Store, name: TableName, number: int, *, overwrite: bool) -> None:
    upload = store.create_upload(name, overwrite=overwrite)
    for block in (0, 2, 1, 0):
        with store.open_block(upload.id, block) as writer:
            writer.write(rows(number, block))
            writer.commit()
    store.commit_upload(upload.id)


def say(text: str) -> None:
    # One write call each: several children may speak at once.
    os.write(1, f"{text}\n".encode())


def work(root: str, first: int, last: int) -> None:
    with Store(root) as store:
        for number in range(first, last + 1):
            commit(store, LOG, number, overwrite=False)
            commit(store, LATEST, number, overwrite=True)
            say(f"done {number}")


def main(root: str) -> None:
    for line in sys.stdin:
        first, last = map(int, line.split())
        child = os.fork()
        if child == 0:
            work(root, first, last)
            os._exit(0)
        say(f"pid {child}")
        os.waitpid(child, 0)
        say("ended")


if __name__ == "__main__":
    main(sys.argv[1])
