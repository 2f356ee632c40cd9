"""How long does importing take, and a program that opens a table and looks at its first row? Each run is a program.

What a program asks the service for is printed.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator

from tests.benchmarks.bench import PROJECT, Bench, table_path
from tests.benchmarks.made_rows import mixed_rows, python_rows
from tests.benchmarks.measuring import Case, Contender, WrongRows

_ROWS = 1000

_PYODPS = """
from odps import ODPS
from odps.tunnel import TableTunnel
odps = ODPS({access_id!r}, {access_key!r}, {project!r}, endpoint={endpoint!r})
session = TableTunnel(odps).create_download_session({table!r})
with session.open_record_reader(0, session.count) as reader:
    print(tuple(next(reader).values))
"""
_PAIIO = """
import paiio
with paiio.python_io.TableReader({path!r}) as reader:
    print(reader.read(1)[0])
"""
_AIOPAIIO = """
import asyncio
import aiopaiio
async def main():
    async with aiopaiio.Client() as client, client.open_reader({path!r}) as reader:
        print((await reader.read(1))[0])
asyncio.run(main())
"""


def cases(bench: Bench) -> Iterator[Case]:
    """Importing; then a cold open."""
    with tempfile.TemporaryDirectory(prefix="aiopaiio-bench-") as folder:
        # Compiled once, as after an installation, also where Python is told not to keep that.
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        environment["PYTHONPYCACHEPREFIX"] = folder

        def program(source: str) -> Callable[[], str]:
            command = [sys.executable, "-c", source]
            return lambda: subprocess.check_output(command, env=environment, text=True)

        imports = ["import odps", "import aiopaiio", "import paiio", "pass"]
        contenders = [Contender(source, program(source), _check("")) for source in imports]
        yield Case("start_up", "importing", 1, 0, imports[0], contenders)
        yield from _cold_open(bench, program)


def _cold_open(bench: Bench, program: Callable[[str], Callable[[], str]]) -> Iterator[Case]:
    name = bench.load(mixed_rows(_ROWS))
    service = bench.service
    names = {
        "endpoint": service.endpoint,
        "access_id": service.access_id,
        "access_key": service.access_key,
        "project": PROJECT,
        "table": name,
        "path": table_path(name),
    }
    check = _check(f"{python_rows(mixed_rows(_ROWS))[0]}\n")
    contenders = []
    for client, source in (("PyODPS", _PYODPS), ("paiio", _PAIIO), ("aiopaiio", _AIOPAIIO)):
        run = program(source.format(**names))
        before = service.requests()
        check(run())
        asked = service.requests() - before
        print(f"{client} asks for: {', '.join(asked.elements())}")
        contenders.append(Contender(f"{client}, {sum(asked.values())} requests", run, check))
    yield Case("start_up", "program to first row", 1, bench.body_bytes(name), contenders[0].name, contenders)
    bench.drop(name)


def _check(expected: str) -> Callable[[str], None]:
    def check(printed: str) -> None:
        if printed != expected:
            raise WrongRows(f"{printed!r} instead of {expected!r}")

    return check
