"""Removes what nothing refers to any more: expired sessions, files of old versions, leftovers of killed processes."""

from __future__ import annotations

from aiopaiio.local.storage.state import StoreState

__all__ = ["CollectionOperations"]

# A file is needed while it is part of the partition's current version, of a version some session reads, or of an
# upload session that may still be committed.
_UNREFERENCED = """
    SELECT id FROM files f WHERE f.removed IS NOT NULL AND NOT EXISTS (
        SELECT 1 FROM download_partitions d
        WHERE d.partition_id = f.partition_id AND d.version >= f.added AND d.version < f.removed)
    UNION ALL
    SELECT id FROM files f WHERE f.added IS NULL AND NOT EXISTS (SELECT 1 FROM uploads u WHERE u.id = f.upload_id)
"""
_FORGET = (
    "DELETE FROM blocks WHERE NOT EXISTS (SELECT 1 FROM uploads u WHERE u.id = blocks.upload_id)",
    "DELETE FROM partitions WHERE dropped"
    " AND NOT EXISTS (SELECT 1 FROM files f WHERE f.partition_id = partitions.id)"
    " AND NOT EXISTS (SELECT 1 FROM uploads u WHERE u.partition_id = partitions.id)"
    " AND NOT EXISTS (SELECT 1 FROM download_partitions d WHERE d.partition_id = partitions.id)",
    "DELETE FROM definitions WHERE id NOT IN (SELECT definition_id FROM tables"
    " UNION SELECT definition_id FROM uploads UNION SELECT definition_id FROM downloads)",
)


class CollectionOperations(StoreState):
    """Garbage collection. It never waits for, and never disturbs, another process on the same root."""

    def collect_garbage(self) -> int:
        """Remove everything unneeded; returns the number of files removed. Call it now and then, from any process."""
        now = self._clock()
        with self._database.write() as connection:
            connection.execute(
                "DELETE FROM download_partitions WHERE download_id IN (SELECT id FROM downloads WHERE expires <= ?)",
                (now,),
            )
            connection.execute("DELETE FROM downloads WHERE expires <= ?", (now,))
            connection.execute("DELETE FROM uploads WHERE expires <= ?", (now,))
            unreferenced = [file_id for (file_id,) in connection.execute(_UNREFERENCED)]
            connection.executemany("DELETE FROM files WHERE id = ?", [(file_id,) for file_id in unreferenced])
            for statement in _FORGET:
                connection.execute(statement)
        # Only now: a file whose row is gone is an orphan if this process dies here, and is found again below.
        self._files.remove(unreferenced)
        with self._database.read() as connection:
            known = {file_id for (file_id,) in connection.execute("SELECT id FROM files")}
        return len(unreferenced) + self._files.remove_orphans(known, self._is_known_file)

    def _is_known_file(self, file_id: str) -> bool:
        with self._database.read() as connection:
            return connection.execute("SELECT 1 FROM files WHERE id = ?", (file_id,)).fetchone() is not None
