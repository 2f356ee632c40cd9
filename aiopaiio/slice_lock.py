"""Two writers must not write one slice of one table at once: kept among the processes of one user on one host.

An advisory lock on a small file in the user's run-time directory; the system releases it when the process dies.
"""

from __future__ import annotations

import hashlib
import os
import warnings
from pathlib import Path

from filelock import FileLock, Timeout
from platformdirs import user_runtime_path

from aiopaiio.errors import ConfigError, SliceConflictError

__all__ = ["SliceLock"]


class SliceLock:
    """Held from :meth:`acquire` to :meth:`release`; ``scope`` names what is written, in full detail."""

    def __init__(self, *scope: str, slice_id: int) -> None:
        name = hashlib.sha256("\0".join((*scope, str(slice_id))).encode()).hexdigest()[:40]
        self._path = _directory() / f"{name}.lock"
        # Not re-entrant: a second writer of this process must fail as one of another process does.
        self._lock = FileLock(self._path, timeout=0, thread_local=False, is_singleton=False)
        self._slice_id = slice_id
        self._process = os.getpid()

    def acquire(self) -> None:
        """Take the lock or raise :class:`~aiopaiio.errors.SliceConflictError`; never waits."""
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            raise SliceConflictError(
                f"another writer on this host is writing slice {self._slice_id} of the same table; "
                "close it first, or give each writer a slice_id of its own"
            ) from None
        except (OSError, NotImplementedError) as error:
            raise _unusable(self._path.parent, error) from error

    def release(self) -> None:
        """Let go. Harmless when not held; in a forked child nothing happens, the lock is the parent's."""
        if self._process == os.getpid():
            self._lock.release()


def _directory() -> Path:
    try:
        with warnings.catch_warnings():
            # Without a login session there is no run-time directory, and platformdirs warns that it takes another one.
            warnings.simplefilter("ignore")
            directory = user_runtime_path("aiopaiio") / "writers"
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError:
        # A run-time directory that belongs to a login that is over, as in many containers.
        import tempfile

        user = os.getuid() if hasattr(os, "getuid") else "user"
        directory = Path(tempfile.gettempdir()) / f"aiopaiio-{user}" / "writers"
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise _unusable(directory, error) from error
    return directory


def _unusable(directory: Path, error: Exception) -> ConfigError:
    return ConfigError(
        f"writers lock their slices in {directory}, which cannot be used: {error}; "
        "let XDG_RUNTIME_DIR or TMPDIR name a folder that you can write"
    )
