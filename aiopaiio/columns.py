"""Which columns a read returns, which of them travel, and how what came becomes what was asked for."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pyarrow as pa

from aiopaiio.errors import ColumnError
from aiopaiio.schema import Column, TableSchema, arrow_schema, arrow_type
from aiopaiio.table_path import PartitionSpec

__all__ = ["ColumnPlan", "check_column_lists", "parse_column_names", "plan_columns"]


def parse_column_names(names: str | Iterable[str] | None) -> tuple[str, ...]:
    """Column names in lower case from ``"a, b"`` or an iterable; None and ``""`` mean none."""
    if names is None:
        return ()
    if not isinstance(names, Iterable):
        raise ColumnError(f"columns are named by a str or an iterable of str, not by {type(names).__name__}")
    parts = names.split(",") if isinstance(names, str) else list(names)
    strange = next((part for part in parts if not isinstance(part, str)), None)
    if strange is not None:
        raise ColumnError(f"a column is named by a str, not by {type(strange).__name__} {strange!r:.50}")
    return tuple(name for part in parts if (name := part.strip().lower()))


def check_column_lists(selected: Sequence[str], excluded: Sequence[str]) -> None:
    """Raise :class:`~aiopaiio.errors.ColumnError` when both lists name columns."""
    if selected and excluded:
        raise ColumnError("selected_cols and excluded_cols cannot be used together; give one of them")


@dataclass(frozen=True, slots=True)
class ColumnPlan:
    """The columns of a read.

    ``columns`` are those returned, in the order asked; ``wire_columns`` those downloaded, in the table's order,
    because the Arrow form comes in that order whatever was asked. Partition columns do not travel: their value is
    known.
    """

    columns: tuple[Column, ...]
    wire_columns: tuple[Column, ...]
    partition_names: frozenset[str]

    def arrow_schema(self, *, wide_timestamps: bool = False) -> pa.Schema:
        """The schema of the batches returned."""
        return arrow_schema(self.columns, wide_timestamps=wide_timestamps)

    @property
    def is_identity(self) -> bool:
        """Whether a downloaded batch already is what was asked for."""
        return self.columns == self.wire_columns

    def arrange(self, batch: pa.RecordBatch, partition: PartitionSpec | None) -> pa.RecordBatch:
        """``batch`` (of the wire columns) with the columns asked for, in their order; no column is copied."""
        if self.is_identity:
            return batch
        positions = {column.name: index for index, column in enumerate(self.wire_columns)}
        arrays, fields = [], []
        for column in self.columns:
            if column.name in self.partition_names:
                field = arrow_schema([column]).field(0)
                value = partition.get(column.name) if partition else None
                constant = pa.scalar(value, pa.string()).cast(arrow_type(column.type))
                arrays.append(pa.repeat(constant, batch.num_rows))
            else:
                # The field as it came: a TIMESTAMP may be in its wide form.
                field = batch.schema.field(positions[column.name])
                arrays.append(batch.column(positions[column.name]))
            fields.append(field)
        return pa.RecordBatch.from_arrays(arrays, schema=pa.schema(fields))


def plan_columns(
    schema: TableSchema,
    selected: Sequence[str] = (),
    excluded: Sequence[str] = (),
) -> ColumnPlan:
    """Choose columns by name, ignoring case; without names, all that are not partition columns.

    Raises :class:`~aiopaiio.errors.ColumnError` for an unknown or repeated name, for both lists at once, and when
    nothing is left.
    """
    check_column_lists(selected, excluded)
    known = {column.name: column for column in (*schema.columns, *schema.partition_columns)}
    for name in (*selected, *excluded):
        if name not in known:
            close = difflib.get_close_matches(name, known, 1)
            hint = f"did you mean {close[0]!r}? " if close else ""
            raise ColumnError(f"no column {name!r}; {hint}the table has {', '.join(known)}")
    if len(set(selected)) < len(selected):
        raise ColumnError(f"a column is selected twice: {', '.join(selected)}")
    if selected:
        columns = tuple(known[name] for name in selected)
    else:
        columns = tuple(column for column in schema.columns if column.name not in excluded)
    if not columns:
        raise ColumnError("every column is excluded; nothing is left to read")
    partition_names = frozenset(column.name for column in schema.partition_columns)
    wanted = {column.name for column in columns} - partition_names
    # With partition columns alone a data column still has to travel: the service sends no rows without columns.
    wire = tuple(column for column in schema.columns if column.name in wanted) or schema.columns[:1]
    return ColumnPlan(columns, wire, partition_names)
