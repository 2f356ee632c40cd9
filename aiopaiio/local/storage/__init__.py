"""Tables on one machine's disk: metadata in SQLite, rows in immutable Arrow files.

:class:`Store` is the whole of it: blocking, safe to call from many threads and from several processes on one root.
It knows nothing of HTTP. ``kill -9`` at any moment loses nothing that was committed and shows nothing that was not.
"""

from __future__ import annotations

from aiopaiio.local.storage.block_writer import BlockWriter
from aiopaiio.local.storage.descriptions import Block, Download, Partition, Table, TableName, Upload
from aiopaiio.local.storage.refusal import StoreError
from aiopaiio.local.storage.store import Store

__all__ = [
    "Block",
    "BlockWriter",
    "Download",
    "Partition",
    "Store",
    "StoreError",
    "Table",
    "TableName",
    "Upload",
]
