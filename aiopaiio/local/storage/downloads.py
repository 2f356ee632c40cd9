"""Download sessions: snapshots of one partition, or of any number of them as one result set."""

from __future__ import annotations

import json
import sqlite3
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from aiopaiio.errors import ColumnError
from aiopaiio.local.storage.descriptions import Download, TableName
from aiopaiio.local.storage.file_reader import StoredFile, read_file
from aiopaiio.local.storage.partition_values import (
    PartitionLike,
    Values,
    full_values,
    key_of,
    partition_constant,
    values_of,
)
from aiopaiio.local.storage.refusal import StoreError
from aiopaiio.local.storage.run_lengths import batch_ends
from aiopaiio.local.storage.state import SESSION_SECONDS, StoreState, spec_of
from aiopaiio.schema import Column, TableSchema

__all__ = ["DownloadOperations"]

_REMEMBERED_SNAPSHOTS = 256


@dataclass(frozen=True, slots=True)
class _Snapshot:
    """A session and its files; both never change. ``file_ends`` counts rows up to the end of each file."""

    download: Download
    files: tuple[StoredFile, ...]
    file_ends: npt.NDArray[np.int64]


class DownloadOperations(StoreState):
    """Operations on download sessions."""

    def __init__(self, *state: Any) -> None:
        super().__init__(*state)
        self._snapshot_of = lru_cache(maxsize=_REMEMBERED_SNAPSHOTS)(self._load_snapshot)

    def create_download(self, name: TableName, partition: PartitionLike | None = None) -> Download:
        """A session on the rows that one partition, or an unpartitioned table, has now.

        Raises StoreError ``NoSuchTable``, ``NoSuchPartition``, ``MissingPartitionSpec`` or ``InvalidPartitionSpec``.
        """
        with self._database.write(durable=False) as connection:
            table = self._table_row(connection, name)
            values = self._target_values(name, self._definition(connection, table["definition_id"]), partition)
            row = self._partition_row(connection, name, table, values)
            return self._add_download(
                connection, name, spec_of(values), table["definition_id"], row["row_count"], [(row, {})]
            )

    def create_scan(
        self,
        name: TableName,
        *,
        partitions: Sequence[PartitionLike] | None = None,
        columns: Sequence[str] | None = None,
        limit: int | None = None,
    ) -> Download:
        """A session on any number of partitions (None: all), in the order of their values.

        Partition columns are ordinary columns of it, by default after the others. ``limit`` is a number of rows.
        Raises StoreError ``NoSuchTable``, ``NoSuchPartition``, ``InvalidPartitionSpec`` or ``InvalidColumnSpec``.
        """
        with self._database.write(durable=False) as connection:
            table = self._table_row(connection, name)
            schema = self._definition(connection, table["definition_id"])
            every = TableSchema((*schema.columns, *schema.partition_columns))
            result = TableSchema(_chosen(every, columns))
            rows = self._scanned_rows(connection, name, table, schema, partitions)
            total = sum(row["row_count"] for row in rows)
            reads = [(row, dict(values_of(schema, row["partition_values"]))) for row in rows]
            definition_id = self._add_definition(connection, result)
            count = total if limit is None else min(total, limit)
            return self._add_download(connection, name, "", definition_id, count, reads)

    def _scanned_rows(
        self,
        connection: sqlite3.Connection,
        name: TableName,
        table: sqlite3.Row,
        schema: TableSchema,
        partitions: Sequence[PartitionLike] | None,
    ) -> list[sqlite3.Row]:
        if partitions is None:
            return connection.execute(
                "SELECT * FROM partitions WHERE table_id = ? AND NOT dropped ORDER BY partition_values", (table["id"],)
            ).fetchall()
        wanted: dict[str, Values] = {}
        for partition in partitions:
            values = full_values(schema, partition)
            wanted[key_of(values)] = values
        return [self._partition_row(connection, name, table, wanted[key]) for key in sorted(wanted)]

    def _add_download(
        self,
        connection: sqlite3.Connection,
        name: TableName,
        spec: str,
        definition_id: int,
        row_count: int,
        reads: Sequence[tuple[sqlite3.Row, dict[str, str]]],
    ) -> Download:
        download_id, now = uuid.uuid4().hex, self._clock()
        connection.execute(
            "INSERT INTO downloads VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                *(download_id, name.project, name.schema, name.table, spec),
                *(definition_id, row_count, now, now + SESSION_SECONDS),
            ),
        )
        connection.executemany(
            "INSERT INTO download_partitions VALUES (?, ?, ?, ?, ?)",
            [
                (download_id, position, row["id"], row["version"], json.dumps(constants))
                for position, (row, constants) in enumerate(reads)
            ],
        )
        return self._download(connection, download_id)

    def get_download(self, download_id: str) -> Download:
        """The session; raises StoreError ``NoSuchDownload`` when it is unknown or older than 24 hours."""
        return self._snapshot(download_id).download

    def read_rows(
        self, download_id: str, start: int, count: int, columns: Sequence[str] | None = None
    ) -> Iterator[pa.RecordBatch]:
        """Rows ``[start, start + count)``, as far as there are so many, with ``columns`` in that order (None: all).

        Batches hold at most 16384 rows and about 4 MiB, never cross uploaded blocks, and point into mapped files. Types
        are those of ``arrow_schema``, with narrow or wide timestamps as each batch was stored. Raises StoreError
        ``NoSuchDownload``, ``InvalidRowRange`` or ``InvalidColumnSpec`` here, not from the iterator.
        """
        snapshot = self._snapshot(download_id)
        if start < 0 or count < 0:
            raise StoreError("InvalidRowRange", f"the row range ({start},{count}) is not valid")
        chosen = _chosen(snapshot.download.schema, columns)
        return _read_files(snapshot, start, min(start + count, snapshot.download.row_count), chosen)

    def download_needs_record_form(self, download_id: str, columns: Sequence[str] | None = None) -> bool:
        """Whether these columns hold timestamps that do not fit Arrow's ``timestamp[ns]``."""
        snapshot = self._snapshot(download_id)
        names = {column.name for column in _chosen(snapshot.download.schema, columns)}
        return any(not names.isdisjoint(stored.wide_columns) for stored in snapshot.files)

    def _snapshot(self, download_id: str) -> _Snapshot:
        snapshot = self._snapshot_of(download_id)
        if snapshot.download.expires <= self._clock():
            raise _no_such_download()
        return snapshot

    def _load_snapshot(self, download_id: str) -> _Snapshot:
        with self._database.read() as connection:
            download = self._download(connection, download_id)
            rows = connection.execute(
                "SELECT f.*, d.constants, p.partition_values FROM download_partitions d"
                " JOIN partitions p ON p.id = d.partition_id"
                " JOIN files f ON f.partition_id = d.partition_id AND f.added <= d.version"
                " AND (f.removed IS NULL OR f.removed > d.version)"
                " WHERE d.download_id = ? ORDER BY d.position, f.added, f.block_id, f.part",
                (download_id,),
            ).fetchall()
        by_name = {column.name: column for column in download.schema.columns}
        constants = lru_cache(maxsize=None)(lambda text: _constants(by_name, json.loads(text)))
        files = tuple(
            StoredFile(
                path=self._files.path(row["id"]),
                row_count=row["row_count"],
                batch_ends=batch_ends(row["batch_rows"]),
                wide_columns=frozenset(json.loads(row["wide_columns"])),
                constants=constants(row["constants"]),
            )
            for row in rows
        )
        return _Snapshot(download, files, np.cumsum([stored.row_count for stored in files], dtype=np.int64))

    def _download(self, connection: sqlite3.Connection, download_id: str) -> Download:
        row = connection.execute("SELECT * FROM downloads WHERE id = ?", (download_id,)).fetchone()
        if row is None:
            raise _no_such_download()
        return Download(
            id=row["id"],
            name=TableName(row["project"], row["namespace"], row["name"]),
            partition=row["partition_spec"],
            schema=self._definition(connection, row["definition_id"]),
            row_count=row["row_count"],
            created=row["created"],
            expires=row["expires"],
        )


def _read_files(snapshot: _Snapshot, start: int, stop: int, columns: Sequence[Column]) -> Iterator[pa.RecordBatch]:
    if start >= stop:
        return
    first = int(np.searchsorted(snapshot.file_ends, start, side="right"))
    for index in range(first, len(snapshot.files)):
        file_start = int(snapshot.file_ends[index - 1]) if index else 0
        if file_start >= stop:
            return
        stored = snapshot.files[index]
        yield from read_file(stored, max(start - file_start, 0), min(stop - file_start, stored.row_count), columns)


def _chosen(schema: TableSchema, names: Sequence[str] | None) -> tuple[Column, ...]:
    if names is None:
        return schema.columns
    try:
        chosen = schema.select(names)
    except ColumnError as error:
        raise StoreError("InvalidColumnSpec", error.message) from None
    if chosen.partition_columns or not chosen.columns:
        raise StoreError("InvalidColumnSpec", "name one or more columns that are not partition columns")
    return chosen.columns


def _constants(columns: dict[str, Column], values: dict[str, str]) -> dict[str, pa.Scalar]:
    return {name: partition_constant(columns[name], value) for name, value in values.items() if name in columns}


def _no_such_download() -> StoreError:
    return StoreError("NoSuchDownload", "the download session does not exist or has expired")
