"""What can be wrong between the columns of a table and the types asked for.

TensorFlow passes on the text of an exception, not the exception; so the text names everything, on its first line.
"""

from __future__ import annotations

from aiopaiio.errors import DataError, UsageError

__all__ = ["RecordDefaultsError", "ValueRangeError"]


class RecordDefaultsError(UsageError):
    """``record_defaults`` do not fit the columns: too few, too many, or a type the column cannot be read as."""


class ValueRangeError(DataError):
    """A value of a column does not fit the type it is read as.

    ``row`` counts from the first row of the block it came in.
    """

    row: int = 0
