"""The store: all operations on one root directory."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from aiopaiio.local.storage.collection import CollectionOperations
from aiopaiio.local.storage.data_files import DataFiles
from aiopaiio.local.storage.database import Database
from aiopaiio.local.storage.downloads import DownloadOperations
from aiopaiio.local.storage.partitions import PartitionOperations
from aiopaiio.local.storage.tables import TableOperations
from aiopaiio.local.storage.uploads import UploadOperations

__all__ = ["Store"]


class Store(TableOperations, PartitionOperations, DownloadOperations, UploadOperations, CollectionOperations):
    """Tables below ``root``, which is created when missing.

    For any number of threads and of processes at once. Opening removes what killed processes left. All methods block;
    all refusals are :class:`~aiopaiio.local.storage.StoreError`. ``clock`` gives Unix seconds.
    """

    def __init__(self, root: str | os.PathLike[str], *, clock: Callable[[], float] = time.time) -> None:
        self.root = Path(root)
        self.root.mkdir(parents=True, exist_ok=True)
        super().__init__(Database(self.root), DataFiles(self.root / "data"), clock)
        try:
            self.collect_garbage()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Release the metadata. Batches already read stay valid; anything else raises afterwards."""
        self._database.close()

    def __repr__(self) -> str:
        return f"Store({str(self.root)!r})"

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
