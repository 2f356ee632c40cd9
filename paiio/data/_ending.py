"""The end of a program that has datasets open.

Threads of TensorFlow's come into Python whenever they want more of a generator. One that is still inside when the
interpreter ends never comes out again, and whoever takes its iterator apart then waits for it without end. So before
that every generator stops, by an error, and the program waits until those threads have left.
"""

from __future__ import annotations

import sys
import time
from types import FrameType

from aiopaiio.errors import ClosedError

__all__ = ["require_running", "stop_generators"]

_REST_SECONDS = 0.05
"""How long none must have come in: much longer than TensorFlow takes from one visit to the next."""

_LEAVE_SECONDS = 5.0
"""How long one is waited for that does something else, in a ``py_function`` of the program's."""

_LOOK_SECONDS = 0.001

_stopped = False


def require_running() -> None:
    """Raise :class:`aiopaiio.ClosedError` when the program is ending; generators ask between all they do."""
    if _stopped:
        raise ClosedError("the program is ending, so no more rows are read")


def stop_generators() -> None:
    """At the end of the program: let no generator go on, and wait until TensorFlow is not in any."""
    global _stopped
    _stopped = True
    now = rest_began = time.monotonic()
    give_up = now + _LEAVE_SECONDS
    while now < min(give_up, rest_began + _REST_SECONDS):
        time.sleep(_LOOK_SECONDS)
        now = time.monotonic()
        if any(map(_is_tensorflow, sys._current_frames().values())):
            rest_began = now


def _is_tensorflow(frame: FrameType) -> bool:
    """Whether TensorFlow brought this thread into Python: then the first function is one of its own."""
    while frame.f_back is not None:
        frame = frame.f_back
    return str(frame.f_globals.get("__name__", "")).startswith("tensorflow.")
