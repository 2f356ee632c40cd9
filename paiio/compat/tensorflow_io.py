"""``tf.python_io`` as programs for TensorFlow know it: the readers and writers of paiio, STRING cells as ``bytes``.

Imports TensorFlow, so nothing imports this but a program that has imported it before.
"""

from __future__ import annotations

import tensorflow as tf

from paiio import python_io
from paiio.python_io import TableWriter

__all__ = ["OutOfRangeException", "TableReader", "TableWriter"]


class OutOfRangeException(python_io.OutOfRangeException, tf.errors.OutOfRangeError):  # type: ignore[misc]  # untyped
    """No row is left. Also a ``tf.errors.OutOfRangeError``, and all that paiio's exception is."""

    # TensorFlow's is a property, which could not be assigned to.
    message: str = ""

    def __init__(self, message: str = "", **context: str | None) -> None:
        tf.errors.OutOfRangeError.__init__(self, None, None, message)
        python_io.OutOfRangeException.__init__(self, message, **context)


class TableReader(python_io.TableReader):
    """:class:`paiio.python_io.TableReader` that gives STRING cells as ``bytes`` unless told otherwise."""

    _end_of_table = OutOfRangeException
    _usual_string_as = "bytes"
