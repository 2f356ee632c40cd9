"""The service for one machine inside the client's event loop, for endpoints of the form ``local:DIR``."""

from __future__ import annotations

import asyncio
import os

import anyio

from aiopaiio.config import LOCAL_SCHEME, Config
from aiopaiio.errors import ConfigError

__all__ = ["EmbeddedService"]


class EmbeddedService:
    """Held open by a task of its own, because whoever starts it and whoever stops it may be different tasks."""

    def __init__(self, root: str) -> None:
        self._root = os.path.expanduser(root)
        self._stop = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self, config: Config) -> Config:
        """Start it; the configuration with its address and keys."""
        ready: asyncio.Future[Config] = asyncio.get_running_loop().create_future()
        self._task = asyncio.create_task(self._hold(config, ready), name=f"aiopaiio embedded service {self._root}")
        try:
            return await ready
        except BaseException:
            # Given up before it was ready: nobody else would stop it.
            with anyio.CancelScope(shield=True):
                await self.stop()
            raise

    async def stop(self) -> None:
        """Stop it and wait until its port and files are let go."""
        self._stop.set()
        if self._task is not None:
            await asyncio.wait([self._task])

    async def _hold(self, config: Config, ready: asyncio.Future[Config]) -> None:
        from aiopaiio.local import serve

        try:
            async with serve(self._root) as service:
                if not ready.done():
                    ready.set_result(
                        config.replace(
                            endpoint=service.endpoint,
                            tunnel_endpoint=service.tunnel_endpoint,
                            access_id=service.access_id,
                            access_key=service.access_key,
                            security_token=None,
                            region=None,
                        )
                    )
                await self._stop.wait()
        except Exception as error:
            if ready.done():
                raise
            if isinstance(error, OSError):
                error = ConfigError(f"end_point={LOCAL_SCHEME}{self._root}: cannot serve that folder: {error}")
            ready.set_exception(error)
