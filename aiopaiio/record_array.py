"""The record array a read returns: NumPy's by its type and columns, a list of plain tuples by its rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

__all__ = ["Records"]

_item = np.ndarray.__getitem__


class Records(np.recarray[Any, Any]):
    """Rows of a table: a 1-D ``numpy.recarray`` with one field a column.

    Unlike a plain record array it is true when it holds a row, and its rows (``rows[3]``, ``for row in rows``) are
    plain tuples of plain Python values: those listed in :mod:`aiopaiio.column_values`. A slice, a mask or a list of
    positions gives :class:`Records`; a name, ``rows["name"]``, gives a column: a typed array unless one of the rows
    needs an object there (a NULL, which is None, or a text).
    """

    # numpy.recarray looks attributes up in Python, which costs microseconds each; columns are found by __getattr__.
    __getattribute__ = np.ndarray.__getattribute__
    __setattr__ = np.ndarray.__setattr__
    __array_finalize__ = np.ndarray.__array_finalize__  # type: ignore[assignment]  # typed differently by NumPy

    def __getattr__(self, name: str) -> Any:
        if name in (self.dtype.names or ()):
            return self[name]
        raise AttributeError(f"{type(self).__name__} has neither an attribute nor a column {name!r}")

    def __bool__(self) -> bool:
        return self.size > 0

    def __iter__(self) -> Iterator[Any]:
        return iter(self.tolist())

    def __getitem__(self, key: Any) -> Any:
        if type(key) is int and self.ndim == 1:
            return self.item(key)
        found = _item(self, key)
        if isinstance(found, np.void):
            return found.item()
        return found.view(np.ndarray) if isinstance(key, str) else found

    def __radd__(self, other: Any) -> Any:
        # ``some_list += rows`` asks here first, and then, without an answer, extends the list.
        return NotImplemented if isinstance(other, list) else super().__radd__(other)

    def tolist(self) -> list[Any]:
        """The rows as a list of tuples."""
        names = self.dtype.names
        if names is None or self.ndim != 1 or self.size < 4:
            return list(super().tolist())
        # Column by column: NumPy itself takes longer to make a tuple of each row.
        return list(zip(*[_item(self, name).tolist() for name in names], strict=True))
