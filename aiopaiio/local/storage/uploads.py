"""Upload sessions: blocks gather unseen, one transaction makes them rows of the table."""

from __future__ import annotations

import json
import sqlite3
import uuid
from collections.abc import Sequence

from aiopaiio.local.storage.block_writer import BlockWriter, WrittenFile
from aiopaiio.local.storage.conform import MAX_FIELD_BYTES, StoredForm
from aiopaiio.local.storage.descriptions import Block, TableName, Upload
from aiopaiio.local.storage.partition_values import PartitionLike
from aiopaiio.local.storage.refusal import StoreError
from aiopaiio.local.storage.state import SESSION_SECONDS, StoreState, spec_of

__all__ = ["MAX_BLOCKS", "UploadOperations"]

MAX_BLOCKS = 20_000
"""Block ids are 0 to MAX_BLOCKS - 1 (public documentation of the service)."""


class UploadOperations(StoreState):
    """Operations on upload sessions."""

    def create_upload(
        self,
        name: TableName,
        partition: PartitionLike | None = None,
        *,
        overwrite: bool = False,
        create_partition: bool = False,
    ) -> Upload:
        """A session that appends to, or with ``overwrite`` replaces, the rows of a partition or unpartitioned table.

        ``create_partition`` adds the partition now when it is missing; it stays even if nothing is committed.
        Raises StoreError ``NoSuchTable``, ``NoSuchPartition``, ``MissingPartitionSpec`` or ``InvalidPartitionSpec``.
        """
        upload_id, now = uuid.uuid4().hex, self._clock()
        with self._database.write(durable=create_partition) as connection:
            table = self._table_row(connection, name)
            values = self._target_values(name, self._definition(connection, table["definition_id"]), partition)
            target = self._find_partition(connection, table["id"], values)
            if target is None and create_partition:
                target = self._insert_partition(connection, table["id"], values)
            target = target or self._partition_row(connection, name, table, values)
            connection.execute(
                "INSERT INTO uploads VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 'normal', ?, ?)",
                (
                    *(upload_id, name.project, name.schema, name.table, spec_of(values)),
                    *(table["id"], target["id"], table["definition_id"], overwrite, now, now + SESSION_SECONDS),
                ),
            )
            return self._upload(connection, self._upload_row(connection, upload_id))

    def get_upload(self, upload_id: str) -> Upload:
        """The session as of now, with its complete blocks; raises StoreError ``NoSuchUpload``."""
        with self._database.read() as connection:
            return self._upload(connection, self._upload_row(connection, upload_id))

    def open_block(self, upload_id: str, block_id: int, *, max_field_bytes: int = MAX_FIELD_BYTES) -> BlockWriter:
        """Begin a block. Of several with one id, the one that commits last counts.

        ``max_field_bytes`` bounds each STRING and BINARY value. Raises StoreError ``NoSuchUpload``,
        ``InvalidBlockID``, or ``StatusConflict`` when the session is closed.
        """
        if not 0 <= block_id < MAX_BLOCKS:
            raise StoreError("InvalidBlockID", f"{block_id} is not a block id; they are 0 to {MAX_BLOCKS - 1}")
        with self._database.read() as connection:
            row = self._upload_row(connection, upload_id)
            _check_open(row)
            columns = self._definition(connection, row["definition_id"]).columns
            form = StoredForm(columns, max_field_bytes=max_field_bytes)

        def register(written: Sequence[WrittenFile]) -> Block:
            return self._register_block(upload_id, block_id, written)

        return BlockWriter(self._files, form, register)

    def _register_block(self, upload_id: str, block_id: int, written: Sequence[WrittenFile]) -> Block:
        block = Block(block_id, sum(f.row_count for f in written), sum(f.size for f in written), self._clock())
        # The rows are on disk; that the metadata follows is promised only by the commit of the session.
        with self._database.write(durable=False) as connection:
            _check_open(self._upload_row(connection, upload_id))
            key = upload_id, block_id
            replaced = connection.execute("SELECT id FROM files WHERE upload_id = ? AND block_id = ?", key).fetchall()
            connection.execute("DELETE FROM files WHERE upload_id = ? AND block_id = ?", key)
            connection.execute(
                "INSERT OR REPLACE INTO blocks VALUES (?, ?, ?, ?, ?)",
                (*key, block.row_count, block.size, block.created),
            )
            connection.executemany(
                "INSERT INTO files (id, upload_id, block_id, part, row_count, size, batch_rows, wide_columns)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    (f.id, *key, part, f.row_count, f.size, f.batch_rows, json.dumps(f.wide_columns))
                    for part, f in enumerate(written)
                ],
            )
        self._files.remove(file_id for (file_id,) in replaced)
        return block

    def commit_upload(self, upload_id: str) -> Upload:
        """Make all complete blocks rows of the table, in the order of their ids: all of them or none, durably.

        Committing a closed session again changes nothing and gives the same answer. Raises StoreError
        ``NoSuchUpload``, ``NoSuchTable`` or ``NoSuchPartition`` when the target was dropped, ``StatusConflict`` when
        the session was aborted.
        """
        with self._database.write() as connection:
            row = self._upload_row(connection, upload_id)
            if row["status"] != "closed":
                _check_open(row)
                self._make_visible(connection, row)
                connection.execute("UPDATE uploads SET status = 'closed' WHERE id = ?", (upload_id,))
            return self._upload(connection, self._upload_row(connection, upload_id))

    def _make_visible(self, connection: sqlite3.Connection, row: sqlite3.Row) -> None:
        target, now = row["partition_id"], self._clock()
        if connection.execute("SELECT 1 FROM tables WHERE id = ?", (row["table_id"],)).fetchone() is None:
            raise StoreError("NoSuchTable", f"the table {_name(row)} was dropped after the upload session was made")
        if row["overwrite"]:
            self._end_files(connection, "id = ?", target)
        changed = connection.execute(
            "UPDATE partitions SET version = version + 1, modified = ?,"
            " row_count = row_count + (SELECT COALESCE(SUM(row_count), 0) FROM blocks WHERE upload_id = ?),"
            " size = size + (SELECT COALESCE(SUM(size), 0) FROM blocks WHERE upload_id = ?)"
            " WHERE id = ? AND NOT dropped",
            (now, row["id"], row["id"], target),
        ).rowcount
        if not changed:
            raise StoreError(
                "NoSuchPartition",
                f"the partition {row['partition_spec']} of {_name(row)} was dropped after the upload session was made",
            )
        connection.execute(
            "UPDATE files SET partition_id = ?, added = (SELECT version FROM partitions WHERE id = ?)"
            " WHERE upload_id = ?",
            (target, target, row["id"]),
        )
        connection.execute("UPDATE tables SET modified = ? WHERE id = ?", (now, row["table_id"]))

    def abort_upload(self, upload_id: str) -> None:
        """Discard the session's blocks; does nothing when it was aborted already."""
        with self._database.write(durable=False) as connection:
            row = self._upload_row(connection, upload_id)
            if row["status"] == "canceled":
                return
            _check_open(row)
            files = connection.execute("SELECT id FROM files WHERE upload_id = ?", (upload_id,)).fetchall()
            connection.execute("DELETE FROM files WHERE upload_id = ?", (upload_id,))
            connection.execute("DELETE FROM blocks WHERE upload_id = ?", (upload_id,))
            connection.execute("UPDATE uploads SET status = 'canceled' WHERE id = ?", (upload_id,))
        self._files.remove(file_id for (file_id,) in files)

    def _upload_row(self, connection: sqlite3.Connection, upload_id: str) -> sqlite3.Row:
        row: sqlite3.Row | None = connection.execute(
            "SELECT * FROM uploads WHERE id = ? AND expires > ?", (upload_id, self._clock())
        ).fetchone()
        if row is None:
            raise StoreError("NoSuchUpload", "the upload session does not exist or has expired")
        return row

    def _upload(self, connection: sqlite3.Connection, row: sqlite3.Row) -> Upload:
        blocks = connection.execute(
            "SELECT block_id, row_count, size, created FROM blocks WHERE upload_id = ? ORDER BY block_id", (row["id"],)
        )
        return Upload(
            id=row["id"],
            name=_name(row),
            partition=row["partition_spec"],
            schema=self._definition(connection, row["definition_id"]),
            overwrite=bool(row["overwrite"]),
            status=row["status"],
            created=row["created"],
            expires=row["expires"],
            blocks=tuple(Block(*block) for block in blocks),
        )


def _name(row: sqlite3.Row) -> TableName:
    return TableName(row["project"], row["namespace"], row["name"])


def _check_open(row: sqlite3.Row) -> None:
    if row["status"] != "normal":
        raise StoreError("StatusConflict", f"the upload session is {row['status']}; it takes no more blocks or commits")
