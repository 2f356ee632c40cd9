"""``common_io`` as its programs know it: rows in plain lists, no short batch unless asked for, seeks both ways."""

from __future__ import annotations

import operator
from typing import Any

from aiopaiio.arguments import whole_number
from aiopaiio.errors import SliceError, UsageError
from aiopaiio.reader import END_OF_TABLE
from paiio import python_io
from paiio.python_io import OutOfRangeException, TableWriter

__all__ = ["OutOfRangeException", "TableReader", "TableWriter"]


class TableReader(python_io.TableReader):
    """:class:`paiio.python_io.TableReader` with the rules of ``common_io`` for ``read`` and ``seek``."""

    def read(  # type: ignore[override]  # a list, not a record array: existing programs add them up
        self, num_records: int = 1, allow_smaller_final_batch: bool = False
    ) -> list[tuple[Any, ...]]:
        """The next ``num_records`` rows, a list of tuples.

        When fewer are left, raises :class:`OutOfRangeException` and takes none of them, unless
        ``allow_smaller_final_batch``; when none is left, always.
        """
        if num_records == 1 or allow_smaller_final_batch:
            return super().read(num_records).tolist()
        wanted = whole_number("num_records", num_records, least=0)
        return self._alone(self._take, wanted, wanted).tolist()

    def seek(self, offset: int = 0) -> None:
        """Go to the row of this number in the table, from ``start_pos`` on; if negative, so many rows back.

        Also after the end. Raises :class:`OutOfRangeException` for a row from ``end_pos`` on,
        :class:`aiopaiio.SliceError` for one before ``start_pos``; the cursor stays where it is then.
        """
        try:
            offset = operator.index(offset)
        except TypeError:
            raise UsageError(f"offset must be a whole number, not {type(offset).__name__}") from None

        def seek_it(offset: int) -> None:
            target = self._position + offset if offset < 0 else offset - self.start_pos
            if target >= self._row_count:
                raise self._end_of_table(END_OF_TABLE)
            if target < 0:
                raise SliceError(
                    f"seek({offset}) leads to row {self.start_pos + target}, before the slice, which begins with row "
                    f"{self.start_pos}"
                )
            self._go_to(target)

        self._alone(seek_it, offset)
