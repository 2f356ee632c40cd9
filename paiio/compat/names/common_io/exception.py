"""What readers raise at the end of a table."""

from paiio.compat.common_io import OutOfRangeException

__all__ = ["OutOfRangeException"]
