"""Threads that share one reader take turns."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

from aiopaiio.errors import BusyError

__all__ = ["Turns"]

_T = TypeVar("_T")


class Turns:
    """Lets in one thread at a time; the others wait, as long as it takes."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._holder = 0

    def run(self, act: Callable[..., _T], *args: object) -> _T:
        """``act(*args)`` while no other thread is in here.

        Raises :class:`aiopaiio.BusyError` when this thread is in here already: in a signal handler.
        """
        if self._holder == threading.get_ident():
            raise BusyError("a signal interrupted another call of this reader, which must come back first")
        # By itself, not within an __enter__ in Python: an interrupt there would leave it locked for ever.
        with self._lock:
            self._holder = threading.get_ident()
            try:
                return act(*args)
            finally:
                self._holder = 0
