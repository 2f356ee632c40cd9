"""Rows written a few at a time, gathered into batches worth sending. Pure.

Making an Arrow array costs microseconds however short it is. So a row that comes alone is only checked, cell by cell,
and waits with others like it until a thousand of them are converted at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa

from aiopaiio.cell_values import INTEGER_BITS, Unfit, cell_value
from aiopaiio.cells import rows_to_batch
from aiopaiio.odps_types import OdpsType
from aiopaiio.row_shapes import column_numbers, is_row
from aiopaiio.schema import Column

__all__ = ["RowGatherer"]

_FEW_ROWS = 32
_WAITING_ROWS = 1024
_WAITING_CELLS = 1 << 18
_REMEMBERED_PATTERNS = 256
_LONGEST_WAITING_TEXT = 1024

# Cells of these classes cannot change while they wait.
_IMMUTABLE = (bool, int, float, str, bytes, date, datetime, timedelta, Decimal, np.number, np.bool_, np.datetime64)

Classes = tuple[type, ...]
"""The classes of the cells of a row."""

Check = Callable[[Any], bool]
"""Whether a cell surely fits its column, and can wait."""


class RowGatherer:
    """Takes rows as :func:`~aiopaiio.cells.rows_to_batch` does, and gives them back in order as few batches.

    ``converted_rows`` of them are Arrow arrays of ``converted_bytes`` already; few others wait.
    """

    def __init__(self, columns: Sequence[Column]) -> None:
        self.converted_rows = 0
        self.converted_bytes = 0
        self._columns = tuple(columns)
        self._batches: list[pa.RecordBatch] = []
        # Checked rows that wait, and the column numbers of their cells.
        self._waiting: list[Sequence[Any]] = []
        self._numbers: tuple[int, ...] | None = None
        # The same, as callers mostly give them.
        self._indices: list[int] | None = None
        # How many rows may wait.
        self._room = _WAITING_ROWS
        # For rows of these classes: which cells must be looked at, and how.
        self._checks: dict[Classes, list[tuple[int, Check]]] = {}

    def __repr__(self) -> str:
        return f"<RowGatherer {self.rows} rows>"

    @property
    def rows(self) -> int:
        """Rows that are gathered, converted or not."""
        return self.converted_rows + len(self._waiting)

    def add(self, values: Any, indices: Iterable[Any] | None = None, allow_type_cast: bool = True) -> None:
        """Take one row, or many; all of them, or by an exception none."""
        # The shortest way for a row like one before: no row of rows has classes with checks that it can pass.
        if type(values) is tuple and type(indices) is list and indices == self._indices:
            checks = self._checks.get((*map(type, values),))
            if checks is not None and _all_fit(values, checks):
                self._waiting.append(values)
                if len(self._waiting) >= self._room:
                    self._convert_waiting()
                return
        repeatable = indices is None or isinstance(indices, (tuple, list, range, np.ndarray))
        if repeatable and isinstance(values, (tuple, list)) and values and self._wait(values, indices):
            return
        batch = rows_to_batch(values, indices, self._columns, allow_type_cast=allow_type_cast)
        self._convert_waiting()
        self._keep(batch)

    def take(self) -> list[pa.RecordBatch]:
        """All gathered rows, in order; neighbours of one schema are one batch."""
        self._convert_waiting()
        gathered, self._batches = self._batches, []
        self.converted_rows = self.converted_bytes = 0
        merged: list[pa.RecordBatch] = []
        while gathered:
            like = [gathered.pop(0)]
            while gathered and gathered[0].schema.equals(like[0].schema):
                like.append(gathered.pop(0))
            merged += pa.Table.from_batches(like).combine_chunks().to_batches() if len(like) > 1 else like
        return merged

    def _wait(self, values: Sequence[Any], indices: Iterable[Any] | None) -> bool:
        rows = values if is_row(values[0]) else [values]
        if len(rows) > _FEW_ROWS:
            return False
        width = len(rows[0])
        numbers = tuple(range(width)) if indices is None else tuple(indices)
        if numbers != self._numbers:
            numbers = tuple(column_numbers(numbers, width, self._columns))
            self._convert_waiting()
            self._numbers = numbers
            self._indices = list(numbers)
            self._room = min(_WAITING_ROWS, _WAITING_CELLS // max(1, width))
            self._checks.clear()
        for row in rows:
            if type(row) not in (tuple, list):
                return False
            classes = (*map(type, row),)
            checks = self._checks.get(classes)
            if checks is None:
                checks = self._checks_of(classes)
            if not _all_fit(row, checks):
                return False
        # A list may be changed by the caller; a tuple of immutable cells may not.
        self._waiting += map(tuple, rows)
        if len(self._waiting) >= self._room:
            self._convert_waiting()
        return True

    def _checks_of(self, classes: Classes) -> list[tuple[int, Check]]:
        numbers = self._numbers or ()
        required = (column for at, column in enumerate(self._columns) if not column.nullable and at not in numbers)
        if len(classes) != len(numbers) or any(required):
            return [(0, _never)]
        checks = [(at, _check(self._columns[number], classes[at])) for at, number in enumerate(numbers)]
        needed = [(at, check) for at, check in checks if check is not None]
        if len(self._checks) >= _REMEMBERED_PATTERNS:
            self._checks.clear()
        self._checks[classes] = needed
        return needed

    def _convert_waiting(self) -> None:
        if self._waiting:
            batch = rows_to_batch(self._waiting, self._numbers, self._columns)
            self._waiting = []
            self._keep(batch)

    def _keep(self, batch: pa.RecordBatch) -> None:
        if batch.num_rows:
            self._batches.append(batch)
            self.converted_rows += batch.num_rows
            self.converted_bytes += batch.nbytes


def _all_fit(row: Sequence[Any], checks: list[tuple[int, Check]]) -> bool:
    for at, check in checks:  # noqa: SIM110  # a generator takes longer than the checks
        if not check(row[at]):
            return False
    return True


def _never(cell: Any) -> bool:
    return False


def _check(column: Column, cell_class: type) -> Check | None:
    """How to check cells of this class; None when they all fit."""
    odps_type, nullable = column.odps_type, column.nullable
    if cell_class is type(None):
        return None if nullable else _never
    match odps_type.name:
        case "array" | "vector" | "map" | "struct":
            return _never
        case "double" if cell_class is float:
            return None
        case "boolean" if cell_class is bool:
            return None
        case "string" if cell_class is str:
            return lambda cell: (
                (cell.isascii() and len(cell) <= _LONGEST_WAITING_TEXT) or _fits(cell, odps_type, nullable)
            )
    if cell_class is int and (odps_type.name in INTEGER_BITS or odps_type.name == "datetime"):
        beyond = 1 << (INTEGER_BITS.get(odps_type.name, 64) - 1)
        least = -beyond
        return lambda cell: least <= cell < beyond
    return lambda cell: _fits(cell, odps_type, nullable)


def _fits(cell: Any, odps_type: OdpsType, nullable: bool) -> bool:
    if cell is None:
        return nullable
    if not isinstance(cell, _IMMUTABLE) or (isinstance(cell, (str, bytes)) and len(cell) > _LONGEST_WAITING_TEXT):
        return False
    try:
        # What only a cast makes fit is left to the whole conversion, which knows whether casts are allowed.
        value = cell_value(cell, odps_type, cast=False)
    except Unfit:
        return False
    return value is not None or nullable
