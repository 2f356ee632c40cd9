"""The service under the benchmarks, in a process of its own, so that its processor time can be told apart.

As a program, ``python -m tests.benchmarks.service_process DIR`` serves until its standard input ends.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from aiopaiio.local import serve

_REPOSITORY = Path(__file__).parents[2]
_STOP_SECONDS = 30


@dataclass(frozen=True)
class ServiceProcess:
    """A running service: where it is, the keys to it, and the process."""

    endpoint: str
    tunnel_endpoint: str
    access_id: str
    access_key: str
    process: psutil.Process
    child: subprocess.Popen[str]

    def cpu_seconds(self) -> float:
        """User and system time used so far; the system counts in hundredths of a second."""
        times = self.process.cpu_times()
        return float(times.user + times.system)

    def requests(self) -> Counter[str]:
        """The requests it has been sent so far, by operation."""
        assert self.child.stdin is not None
        assert self.child.stdout is not None
        self.child.stdin.write("\n")
        self.child.stdin.flush()
        return Counter(json.loads(self.child.stdout.readline()))


@contextmanager
def service_process(root: Path) -> Iterator[ServiceProcess]:
    """A service on ``root`` while the context is open."""
    command = [sys.executable, "-m", "tests.benchmarks.service_process", str(root)]
    with subprocess.Popen(command, cwd=_REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        try:
            line = child.stdout.readline()
            if not line:
                raise RuntimeError("the service did not start; its errors are above")
            yield ServiceProcess(**json.loads(line), process=psutil.Process(child.pid), child=child)
        finally:
            child.stdin.close()
            try:
                child.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                child.kill()


async def _serve_until_input_ends(root: str) -> None:
    async with serve(root) as service:
        names = ("endpoint", "tunnel_endpoint", "access_id", "access_key")
        print(json.dumps({name: getattr(service, name) for name in names}), flush=True)

        def count_when_asked() -> None:
            # Ends also when the parent is killed, so no service is left behind.
            for _ in sys.stdin:
                print(json.dumps(service.statistics.requests), flush=True)

        await asyncio.get_running_loop().run_in_executor(None, count_when_asked)


if __name__ == "__main__":
    asyncio.run(_serve_until_input_ends(sys.argv[1]))
