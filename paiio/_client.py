"""The client behind the blocking readers and writers: one for each configuration, in the bridge's loop."""

from __future__ import annotations

# These two would else be imported by the first reader, while another thread may fork and leave them half imported.
import encodings.utf_8_sig  # noqa: F401  # of the configuration file
from collections.abc import Awaitable, Callable
from typing import TypeVar

import aiopaiio.compression  # noqa: F401
from aiopaiio.client import Client
from aiopaiio.config import load_config
from paiio._bridge import Bridge

__all__ = ["with_client"]

_T = TypeVar("_T")


def with_client(bridge: Bridge, use: Callable[[Client], Awaitable[_T]]) -> _T:
    """Run ``use(client)`` in the loop, with the client of the configuration as it is now."""
    config = load_config()

    async def run() -> _T:
        return await use(bridge.shared(config, Client, Client.aclose))

    return bridge.call(run)
