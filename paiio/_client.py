"""The client behind the blocking readers and writers: one for each configuration, in the bridge's loop."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

import aiopaiio.compression  # noqa: F401  # else imported by the first open, while another thread may fork
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
