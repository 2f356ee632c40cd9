"""A MaxCompute-compatible table service for one machine.

From a shell: ``python -m aiopaiio.local --root DIR``. Inside a program::

    async with aiopaiio.local.serve("warehouse") as service:
        service.write_config("odps_config.ini")  # or take service.endpoint, .access_id and .access_key

Tables, partitions, SQL for defining them, and the Tunnel's reads and block uploads are served; data is durable, and
what a download session reads never changes under it. Tests can script faults, add a slow link, switch quotas on.
"""

from __future__ import annotations

from aiopaiio.local.faults import (
    ExpireSession,
    Fault,
    Faults,
    Fired,
    FlipBit,
    LoseAnswer,
    Refuse,
    ResetAfter,
    ResetUpload,
    ShortBody,
    SlowBody,
    Stall,
    Status,
    WrongRowCount,
)
from aiopaiio.local.limits import Limits
from aiopaiio.local.link import Link
from aiopaiio.local.service import LocalService, serve

__all__ = [
    "ExpireSession",
    "Fault",
    "Faults",
    "Fired",
    "FlipBit",
    "Limits",
    "Link",
    "LocalService",
    "LoseAnswer",
    "Refuse",
    "ResetAfter",
    "ResetUpload",
    "ShortBody",
    "SlowBody",
    "Stall",
    "Status",
    "WrongRowCount",
    "serve",
]
