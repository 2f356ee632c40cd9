"""Starts and stops the service inside an event loop."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import web

from aiopaiio.local.app import make_application
from aiopaiio.local.auth import Keys
from aiopaiio.local.faults import Faults
from aiopaiio.local.limits import Limits
from aiopaiio.local.link import Link, LinkShaper
from aiopaiio.local.operations import SERVICE_PREFIX
from aiopaiio.local.running import Running, Statistics
from aiopaiio.local.storage import Store

__all__ = ["LocalService", "serve"]

logger = logging.getLogger(__name__)

_READ_BUFFER_BYTES = 1 << 20
_LINE_BYTES = 1 << 20  # a thousand column names in one query
_FIELD_BYTES = 64 << 10
_BACKLOG = 1024
# Uploads under way may end within this; downloads, which may last for ever, are cut off at once.
_GRACE_SECONDS = 1.0
_COLLECT_EVERY_SECONDS = 3600.0


class LocalService:
    """A service that accepts connections: where it is and the keys to it."""

    def __init__(self, running: Running, host: str, port: int) -> None:
        self._running = running
        self._address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        self.port = port

    def __repr__(self) -> str:
        return f"<LocalService {self.endpoint}>"

    @property
    def endpoint(self) -> str:
        """URL of the service API, the ``end_point`` of a configuration file."""
        return f"http://{self._address}{SERVICE_PREFIX}"

    @property
    def tunnel_endpoint(self) -> str:
        """URL of the tunnel; clients find it by themselves."""
        return f"http://{self._address}"

    @property
    def access_id(self) -> str:
        """The id of the key pair that is accepted."""
        return self._running.keys.access_id

    @property
    def access_key(self) -> str:
        """The key of the key pair that is accepted."""
        return self._running.keys.access_key

    @property
    def security_token(self) -> str:
        """The STS token that is accepted together with the key pair."""
        return self._running.keys.security_token

    @property
    def faults(self) -> Faults:
        """The script of faults; more can be added while the service runs."""
        return self._running.faults

    @property
    def statistics(self) -> Statistics:
        """What has been asked and sent so far."""
        return self._running.statistics

    def write_config(self, path: str | os.PathLike[str]) -> Path:
        """Write a configuration file with the endpoint and the keys, readable by its owner only; replaces the file."""
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        draft = target.with_name(f".{target.name}.{os.getpid()}")
        lines = {"access_id": self.access_id, "access_key": self.access_key, "end_point": self.endpoint}
        draft.unlink(missing_ok=True)
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "w", encoding="utf-8") as file:
            file.writelines(f"{name}={value}\n" for name, value in lines.items())
        os.replace(draft, target)
        return target


@asynccontextmanager
async def serve(
    root: str | os.PathLike[str],
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    faults: Faults | None = None,
    link: Link | None = None,
    limits: Limits | None = None,
    require_auth: bool = True,
    access_id: str | None = None,
    access_key: str | None = None,
) -> AsyncIterator[LocalService]:
    """Run the service on the folder ``root`` (made when missing) while the context is open.

    ``port`` 0 takes a free one. Keys that are not given are made. ``faults``, ``link`` imitate a bad service or line,
    ``limits`` the real service's quotas; without them nothing of the kind can happen. Leaving the context cuts off
    downloads under way and gives uploads a second. Raises ``OSError`` when the address cannot be had.
    """
    store = await asyncio.get_running_loop().run_in_executor(None, Store, root)
    running = Running(
        store,
        keys=Keys.fresh(access_id, access_key),
        require_auth=require_auth,
        limits=limits or Limits(),
        shaper=LinkShaper(link) if link else None,
        faults=faults if faults is not None else Faults(),
    )
    runner = web.AppRunner(
        make_application(running),
        access_log=None,
        handler_cancellation=True,
        shutdown_timeout=_GRACE_SECONDS,
        auto_decompress=False,
        read_bufsize=_READ_BUFFER_BYTES,
        max_line_size=_LINE_BYTES,
        max_field_size=_FIELD_BYTES,
    )
    collecting: asyncio.Task[None] | None = None
    try:
        await runner.setup()
        listener = _listen(host, port)
        await web.SockSite(runner, listener, backlog=_BACKLOG).start()
        collecting = asyncio.create_task(_collect(running))
        yield LocalService(running, host, listener.getsockname()[1])
    finally:
        if collecting is not None:
            collecting.cancel()
            await asyncio.wait([collecting])
        await runner.cleanup()
        try:
            await asyncio.get_running_loop().run_in_executor(None, running.close)
        except RuntimeError:
            # At the end of the program there are no worker threads any more.
            running.close()


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=_BACKLOG)


async def _collect(running: Running) -> None:
    while True:
        await asyncio.sleep(_COLLECT_EVERY_SECONDS)
        try:
            await running.run(running.store.collect_garbage)
        except Exception:
            # Nothing depends on it: what could not be removed now will be the next time.
            logger.exception("collecting unused files failed")
