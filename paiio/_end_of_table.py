"""The signal that a slice has no row left."""

from __future__ import annotations

from aiopaiio.errors import OutOfRange

__all__ = ["OutOfRangeException"]


class OutOfRangeException(OutOfRange):
    """No row is left, or a seek went beyond the end. Also an ``EOFError``, and an :class:`aiopaiio.OutOfRange`."""
