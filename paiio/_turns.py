"""Threads that share one reader or writer take turns."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import NoReturn, TypeVar

from aiopaiio.errors import BusyError

__all__ = ["Turns"]

_T = TypeVar("_T")


class Turns:
    """Lets in one thread at a time; the others wait, as long as it takes."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.taken = False

    def run(self, act: Callable[..., _T], *args: object) -> _T:
        """``act(*args)`` while no other thread is in here.

        Raises :class:`aiopaiio.BusyError` when this thread is in here already: in a signal handler.
        """
        # By itself, not within an __enter__ in Python: an interrupt there would leave it locked for ever.
        with self.lock:
            if self.taken:
                self.refuse()
            self.taken = True
            try:
                return act(*args)
            finally:
                self.taken = False

    def refuse(self) -> NoReturn:
        """Say that this thread is in here already."""
        raise BusyError("a signal interrupted another call of this reader or writer, which must come back first")
