"""A program that ends again and again, in child processes, while a dataset of a table is open.

Prints how each child ended: the number of the child, the way, and its exit code, or "hangs".
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import paiio.data


def read(iterator: Any) -> None:
    try:
        list(iterator)
    except Exception as error:
        if "the program is ending" not in str(error):
            print(error, file=sys.stderr)


WAYS: dict[str, Callable[[Any], object]] = {
    "falls off": lambda iterator: None,
    "exits": lambda iterator: sys.exit(0),
    "a thread still reads": lambda iterator: threading.Thread(target=read, args=(iterator,), daemon=True).start(),
}
"""Each can meet a thread of TensorFlow's at any point, so each is tried several times."""

TIMES = 5
AT_ONCE = 3
LIMIT_SECONDS = 40.0


def way_of_this_child() -> str | None:
    """In each child its way to end; in the parent None, when all have ended."""
    waiting = list(enumerate(list(WAYS) * TIMES))
    children: dict[int, tuple[int, str, float]] = {}
    while waiting or children:
        while waiting and len(children) < AT_ONCE:
            number, way = waiting.pop()
            child = os.fork()
            if not child:
                return way
            children[child] = number, way, time.monotonic() + LIMIT_SECONDS
        for child, (number, way, until) in list(children.items()):
            ended, status = os.waitpid(child, os.WNOHANG)
            if ended:
                print(number, way, os.waitstatus_to_exitcode(status), sep=": ", flush=True)
            elif time.monotonic() > until:
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)
                print(number, way, "hangs", sep=": ", flush=True)
            else:
                continue
            del children[child]
        time.sleep(0.02)  # there is no other way to wait for any child, but not for ever
    return None


way = way_of_this_child()
if way is not None:
    dataset = paiio.TableRecordDataset(sys.argv[1], [-1, 0.0, "none"]).repeat().shuffle(100).batch(10).prefetch(5)
    iterator = iter(dataset)
    next(iterator)
    WAYS[way](iterator)
