"""A table of any size that takes the disk of one block: the same immutable file under many names.

Readers cannot tell it from a table that was written whole: every name is a file of its own to the service, and is
read, framed and summed like any other.
"""

from __future__ import annotations

import os
import sqlite3
import uuid
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from tests.benchmarks.measuring import WrongRows

__all__ = ["RepeatedRows", "RowCheck", "repeat_rows"]


@dataclass(frozen=True)
class RepeatedRows:
    """A table and what it holds: the rows of ``block``, ``times`` times."""

    name: str
    block: pa.RecordBatch
    times: int

    @property
    def row_count(self) -> int:
        """The rows of the table."""
        return int(self.block.num_rows) * self.times


class RowCheck:
    """Compares rows with a block that comes again and again, while they arrive: they need not be kept."""

    def __init__(self, block: pa.RecordBatch) -> None:
        self._block = block
        self.row_count = 0

    def take(self, batch: pa.RecordBatch) -> None:
        """The next rows; raises :class:`WrongRows` when they are others than due."""
        taken = 0
        while taken < batch.num_rows:
            at = self.row_count % self._block.num_rows
            part = batch.slice(taken, self._block.num_rows - at)
            due = self._block.slice(at, part.num_rows)
            if not all(got.equals(right) for got, right in zip(part.columns, due.columns, strict=True)):
                raise WrongRows(f"{part.num_rows} rows from row {self.row_count} on are not the table's")
            taken += part.num_rows
            self.row_count += part.num_rows

    def require_rows(self, count: int) -> None:
        """Raise :class:`WrongRows` unless so many rows came."""
        if self.row_count != count:
            raise WrongRows(f"{self.row_count} rows instead of {count}")


def repeat_rows(root: Path, table: str, times: int) -> None:
    """Make the rows of an unpartitioned table that was written in one block come ``times`` times, in order.

    ``root`` is the service's folder; the service may be running, and sessions made before still see the rows once.
    """
    with closing(sqlite3.connect(root / "metadata.sqlite3", timeout=60)) as metadata, metadata:
        (partition,) = metadata.execute(
            "SELECT p.id FROM partitions p JOIN tables t ON t.id = p.table_id WHERE t.name = ?", (table,)
        ).fetchone()
        files = metadata.execute("SELECT * FROM files WHERE partition_id = ? ORDER BY part", (partition,)).fetchall()
        names = [column for _, column, *_ in metadata.execute("PRAGMA table_info(files)")]
        blocks = {row[names.index("block_id")] for row in files}
        if len(blocks) != 1:
            raise ValueError(f"the rows of {table} lie in {len(blocks)} blocks")
        block_at = names.index("block_id")
        for number in range(1, times):
            for row in files:
                copy = [uuid.uuid4().hex, *row[1:]]
                copy[block_at] += number
                os.link(_data_file(root, row[0]), _data_file(root, copy[0]))
                metadata.execute(f"INSERT INTO files VALUES ({', '.join('?' * len(names))})", copy)
        metadata.execute(
            "UPDATE partitions SET version = version + 1, row_count = row_count * ?, size = size * ? WHERE id = ?",
            (times, times, partition),
        )


def _data_file(root: Path, file_id: str) -> Path:
    return root / "data" / f"{file_id}.arrow"
