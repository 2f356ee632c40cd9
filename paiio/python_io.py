"""Blocking readers and writers of MaxCompute tables; no TensorFlow needed."""

from __future__ import annotations

from aiopaiio.shared_upload import SharedUpload
from paiio._end_of_table import OutOfRangeException
from paiio._reader import TableReader
from paiio._writer import TableWriter, commit_upload, create_upload

__all__ = ["OutOfRangeException", "SharedUpload", "TableReader", "TableWriter", "commit_upload", "create_upload"]

for _public in (OutOfRangeException, TableReader, TableWriter, commit_upload, create_upload):
    _public.__module__ = __name__
