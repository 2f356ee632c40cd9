"""A service under the benchmarks, in a process of its own, so that its processor time can be told apart.

As a program, ``python -m tests.benchmarks.service_process DIR [OPTIONS]`` serves until its standard input ends; OPTIONS
is a JSON object with the fields of a ``link`` and of ``limits``.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil

from aiopaiio.local import Limits, Link, serve

__all__ = ["REPOSITORY", "ServiceProcess", "service_process"]

REPOSITORY = Path(__file__).parents[2]
_STOP_SECONDS = 30


@dataclass(frozen=True)
class ServiceProcess:
    """A running service: where it is, the keys to it, its folder, and the process."""

    endpoint: str
    tunnel_endpoint: str
    access_id: str
    access_key: str
    root: Path
    process: psutil.Process
    child: subprocess.Popen[str]

    def cpu_seconds(self) -> float:
        """User and system time used so far; the system counts in hundredths of a second."""
        times = self.process.cpu_times()
        return float(times.user + times.system)

    def requests(self) -> Counter[str]:
        """The requests it has been sent so far, by operation."""
        return Counter(self._statistics()["requests"])

    def refusals(self) -> int:
        """How often it has answered so far that something was too much at once."""
        return self._statistics()["statuses"].get("429", 0)

    def _statistics(self) -> dict[str, dict[str, int]]:
        assert self.child.stdin is not None
        assert self.child.stdout is not None
        self.child.stdin.write("\n")
        self.child.stdin.flush()
        answer: dict[str, dict[str, int]] = json.loads(self.child.stdout.readline())
        return answer

    def write_config(self, path: Path) -> None:
        """Write a configuration file with the endpoint and the keys."""
        path.touch(mode=0o600)
        path.write_text(f"access_id={self.access_id}\naccess_key={self.access_key}\nend_point={self.endpoint}\n")


@contextmanager
def service_process(root: Path, *, link: Link | None = None, limits: Limits | None = None) -> Iterator[ServiceProcess]:
    """A service on ``root`` while the context is open; several may serve one folder."""
    options = {"link": link and asdict(link), "limits": limits and asdict(limits)}
    command = [sys.executable, "-m", "tests.benchmarks.service_process", str(root), json.dumps(options)]
    with subprocess.Popen(command, cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        try:
            line = child.stdout.readline()
            if not line:
                raise RuntimeError("the service did not start; its errors are above")
            yield ServiceProcess(**json.loads(line), root=root, process=psutil.Process(child.pid), child=child)
        finally:
            child.stdin.close()
            try:
                child.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                child.kill()


async def _serve_until_input_ends(root: str, options: dict[str, Any]) -> None:
    link, limits = options.get("link"), options.get("limits")
    serving = serve(root, link=Link(**link) if link else None, limits=Limits(**limits) if limits else None)
    async with serving as service:
        names = ("endpoint", "tunnel_endpoint", "access_id", "access_key")
        print(json.dumps({name: getattr(service, name) for name in names}), flush=True)

        def count_when_asked() -> None:
            # Ends also when the parent is killed, so no service is left behind.
            for _ in sys.stdin:
                counted = service.statistics
                print(json.dumps({"requests": counted.requests, "statuses": counted.statuses}), flush=True)

        await asyncio.get_running_loop().run_in_executor(None, count_when_asked)


if __name__ == "__main__":
    asyncio.run(_serve_until_input_ends(sys.argv[1], json.loads(sys.argv[2]) if len(sys.argv) > 2 else {}))
