"""The one exception of the storage: what was asked cannot be done, with MaxCompute's code for it."""

from __future__ import annotations

from aiopaiio.errors import Error

__all__ = ["StoreError"]


class StoreError(Error):
    """The store refuses.

    ``code`` is a MaxCompute error code (``NoSuchTable``, ``StatusConflict``, ``ODPS-0130161``, ...), ``message`` says
    what was wrong and, where that is known, what to do.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code

    def __str__(self) -> str:
        return self.message if self.message.startswith(f"{self.code}:") else f"{self.code}: {self.message}"
