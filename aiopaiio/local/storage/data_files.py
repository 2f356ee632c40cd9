"""The directory of data files: birth, durability, removal. Names are generated ids; nothing a user typed gets here.

A file is written under a lock that is held until the metadata knows the file. A file that the metadata does not know
and nobody holds was left by a process that died, and any process may remove it.
"""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass
from pathlib import Path

from aiopaiio.local.storage.file_lock import lock_new_file, try_lock

__all__ = ["DataFiles", "NewFile"]

_SUFFIX = ".arrow"


@dataclass(slots=True)
class NewFile:
    """A file being written. ``descriptor`` carries the lock that keeps collectors away."""

    id: str
    path: Path
    descriptor: int

    def sync(self) -> int:
        """Force the content to disk and return its size in bytes."""
        os.fsync(self.descriptor)
        return os.fstat(self.descriptor).st_size

    def release(self) -> None:
        """Give up the lock: the metadata knows the file now."""
        os.close(self.descriptor)

    def discard(self) -> None:
        """Remove the file, then give up the lock."""
        with contextlib.suppress(FileNotFoundError):
            self.path.unlink()
        self.release()


class DataFiles:
    """All data files below one directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        directory.mkdir(exist_ok=True)

    def path(self, file_id: str) -> Path:
        return self._directory / (file_id + _SUFFIX)

    def create(self) -> NewFile:
        """A new empty file, locked."""
        while True:
            file_id = uuid.uuid4().hex
            path = self.path(file_id)
            descriptor = lock_new_file(path)
            if descriptor is not None:
                return NewFile(file_id, path, descriptor)

    def sync_directory(self) -> None:
        """Force the names of new files to disk; their content is each file's own :meth:`NewFile.sync`."""
        descriptor = os.open(self._directory, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def remove(self, file_ids: Iterable[str]) -> None:
        """Remove files the metadata no longer knows. Whoever has one mapped keeps reading it."""
        for file_id in file_ids:
            with contextlib.suppress(FileNotFoundError):
                self.path(file_id).unlink()

    def remove_orphans(self, known: Container[str], is_known: Callable[[str], bool]) -> int:
        """Remove files that are not ``known`` and that nobody is writing; returns how many.

        ``is_known`` asks the metadata afresh.
        """
        removed = 0
        for entry in list(os.scandir(self._directory)):
            file_id, dot, _ = entry.name.partition(_SUFFIX)
            if not dot or file_id in known:
                continue
            descriptor = try_lock(Path(entry.path))
            if descriptor is None:
                continue
            try:
                # Asked again under the lock: its writer may have registered it just before letting go.
                if not is_known(file_id):
                    self.remove([file_id])
                    removed += 1
            finally:
                os.close(descriptor)
        return removed
