"""The state of one running service, and the view of one request that every operation gets."""

from __future__ import annotations

import asyncio
import functools
from collections import Counter, OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from aiohttp import web

from aiopaiio.local.answers import Refused
from aiopaiio.local.auth import Keys
from aiopaiio.local.faults import Action, Faults
from aiopaiio.local.limits import Limits, Quotas
from aiopaiio.local.link import LinkShaper
from aiopaiio.local.operations import Operation
from aiopaiio.local.storage import Store, TableName

if TYPE_CHECKING:
    from aiopaiio.local.instances import Instance

__all__ = ["Call", "Running", "Statistics"]

T = TypeVar("T")

# Enough that a few statements that wait for SQLite's lock do not hold up reads; each thread is cheap while idle.
_WORKER_THREADS = 16


@dataclass(slots=True)
class Statistics:
    """What has happened since the start: requests by operation, answers by status, row bytes out and in."""

    requests: Counter[str] = field(default_factory=Counter)
    statuses: Counter[int] = field(default_factory=Counter)
    sent_bytes: int = 0
    received_bytes: int = 0


class Running:
    """Everything the operations share. Belongs to one event loop; only :meth:`run` reaches the store's threads."""

    def __init__(
        self,
        store: Store,
        *,
        keys: Keys,
        require_auth: bool,
        limits: Limits,
        shaper: LinkShaper | None,
        faults: Faults,
    ) -> None:
        self.store = store
        self.keys = keys
        self.require_auth = require_auth
        self.limits = limits
        self.quotas = Quotas(limits)
        self.shaper = shaper
        self.faults = faults
        self.statistics = Statistics()
        self.instances: OrderedDict[str, Instance] = OrderedDict()
        self.expired_sessions: set[str] = set()
        self._endless: set[asyncio.Task[object]] = set()
        self._threads = ThreadPoolExecutor(_WORKER_THREADS, thread_name_prefix="aiopaiio-local")

    async def run(self, function: Callable[..., T], *args: object, **kwargs: object) -> T:
        """Call ``function`` in a worker thread. When the waiter is cancelled the call still runs to its end."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, functools.partial(function, *args, **kwargs))

    def cut_off_at_stop(self) -> None:
        """The current task may last for ever: when the service stops, it is cancelled and not waited for."""
        task = asyncio.current_task()
        if task is not None and task not in self._endless:
            self._endless.add(task)
            task.add_done_callback(self._endless.discard)

    def stop_endless(self) -> None:
        """Cancel the tasks that may last for ever."""
        for task in list(self._endless):
            task.cancel()

    def close(self) -> None:
        """Wait for calls under way in the worker threads and close the store."""
        self._threads.shutdown(wait=True, cancel_futures=True)
        self.store.close()


@dataclass(frozen=True, slots=True)
class Call:
    """One request: what is asked (``operation``), by which HTTP message, and what shall go wrong with it."""

    request: web.Request
    operation: Operation
    request_id: str
    actions: tuple[Action, ...] = ()

    @property
    def query(self) -> dict[str, str]:
        """The decoded query parameters."""
        return self.operation.query

    @property
    def table(self) -> TableName:
        """The table the request names."""
        return TableName(self.operation.project, self.operation.schema or None, self.operation.table)

    @property
    def partition(self) -> str | None:
        """The partition the request names; None for none or an empty one."""
        return self.query.get("partition") or None

    @property
    def tunnel_version(self) -> int:
        """The client's protocol version; 0 when it states none."""
        text = self.request.headers.get("x-odps-tunnel-version", "")
        return int(text) if text.isascii() and text.isdigit() and len(text) < 9 else 0

    def columns(self) -> list[str] | None:
        """The columns asked for, as written but in lower case and without blanks; None for all."""
        text = self.query.get("columns", "")
        names = [name.strip().lower() for name in text.split(",")]
        return names if text.strip() else None

    def integer(self, name: str, *, code: str = "InvalidArgument", default: int | None = None) -> int:
        """An integer parameter; refused with ``code`` when it is not one, or missing without a default."""
        text = self.query.get(name, "")
        if not text and default is not None:
            return default
        try:
            return int(text) if len(text) < 20 else _fail()
        except ValueError:
            raise Refused(code, f"Parameter {name} must be an integer.") from None

    def flag(self, name: str) -> bool:
        """Whether a true/false parameter is true."""
        return self.query.get(name, "").strip().lower() == "true"


def _fail() -> int:
    raise ValueError
