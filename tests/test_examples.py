"""Every example runs as its reader would run it: a process of its own, another working directory, no configuration."""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import pyarrow as pa
import pytest
from aiohttp.base_protocol import BaseProtocol
from aiohttp.test_utils import TestServer

import aiopaiio
from aiopaiio.local import LocalService

EXAMPLES = Path(__file__).parent.parent / "examples"
# These need TensorFlow, and it has something to say on stderr; tests/data/test_dataset_examples.py runs them.
WITH_TENSORFLOW = {"documented_dataset", "predict_flights", "train_flights"}
PROGRAMS = sorted({file.stem for file in EXAMPLES.glob("*.py")} - WITH_TENSORFLOW - {"trial_service"})
LIMIT_SECONDS = 90


class Machine:
    """A working directory and a temporary directory that nothing must be left in."""

    def __init__(self, folder: Path) -> None:
        self.work = folder / "work"
        self.temporary = folder / "tmp"
        runtime = folder / "run"  # where writers lock their slices
        for made in (self.work, self.temporary, runtime):
            made.mkdir(mode=0o700)
        ours = {name: value for name, value in os.environ.items() if not re.search("ODPS|ACCESS|ALIBABA", name)}
        package = Path(aiopaiio.__file__).parent.parent
        self.environment = ours | {
            "HOME": str(folder),
            "PYTHONPATH": str(package),
            "TMPDIR": str(self.temporary),
            "XDG_RUNTIME_DIR": str(runtime),
            "PYTHONUNBUFFERED": "1",
        }

    def command(self, name: str, *arguments: str) -> list[str]:
        return [sys.executable, "-W", "always::ResourceWarning", str(EXAMPLES / f"{name}.py"), *arguments]

    def run(self, name: str, *arguments: str, **environment: str) -> str:
        """What the example prints; it must succeed, complain of nothing and clean up."""
        done = subprocess.run(
            self.command(name, *arguments),
            cwd=self.work,
            env=self.environment | environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=LIMIT_SECONDS,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, ""), done.stdout
        self.check_clean()
        return done.stdout

    def check_clean(self) -> None:
        assert list(self.work.iterdir()) == []
        assert list(self.temporary.iterdir()) == []


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], ModuleType]:
    """Import an example as a module."""
    monkeypatch.syspath_prepend(str(EXAMPLES))

    def load(name: str) -> ModuleType:
        monkeypatch.delitem(sys.modules, name, raising=False)
        return importlib.import_module(name)

    return load


@pytest.mark.slow
@pytest.mark.parametrize("name", PROGRAMS)
def test_help_says_what_it_is(machine: Machine, name: str) -> None:
    assert "odps://" in machine.run(name, "--help")


def test_every_example_is_run_here() -> None:
    tested = {name.removeprefix("test_").rpartition("_runs")[0] for name in globals() if name.endswith("_runs")}
    assert tested == set(PROGRAMS)


# ------------------------------------------------------------------------------------------------------------- flights


def test_flights_runs(machine: Machine) -> None:
    printed = machine.run("flights", "--rows", "3000")
    assert "\x1b" not in printed
    assert re.findall(r"^(.*): 3,000 rows in", printed, re.MULTILINE) == [
        "write by month",
        "read whole",
        "read as 4 slices",
        "read all months at once",
    ]
    assert len(re.findall(r"3,000 .* yes", printed)) == 3
    assert "Every row came back exactly once" in printed


@pytest.mark.slow
def test_flights_has_bars_in_a_terminal(machine: Machine) -> None:
    printed = machine.run("flights", "--rows", "600", FORCE_COLOR="1", TERM="xterm")
    for bar in ("write 2013-12", "read whole", "read slice 3", "read 2013-01"):
        assert bar in printed
    assert "600/600" in printed


def test_the_whole_year_is_loaded(load: Callable[[str], ModuleType]) -> None:
    year = load("flights").load_flights(None)
    assert year.num_rows == 336_776
    assert year.column("dep_time").null_count == 8255
    assert year.column("tailnum").null_count == 2512
    assert not any(value != value for value in year.column("arr_delay").to_pylist())  # a NaN is not itself


def test_flights_sees_rows_that_are_lost_repeated_or_changed(load: Callable[[str], ModuleType]) -> None:
    flights = load("flights")
    some = flights.load_flights(500)
    expected = flights.in_order(some)
    shuffled = some.take(list(reversed(range(500))))
    assert flights.in_order(shuffled).equals(expected)
    lost = some.slice(1)
    repeated = pa.concat_tables([lost, some.slice(7, 1)])
    at = some.schema.get_field_index("distance")
    one_mile_more = pa.array([some["distance"][0].as_py() + 1, *some["distance"][1:].to_pylist()])
    changed = some.set_column(at, some.field(at), one_mile_more)
    for wrong in (lost, repeated, changed):
        assert not flights.in_order(wrong).equals(expected)


# -------------------------------------------------------------------------------------------------------------- others


def test_train_blocking_runs(machine: Machine) -> None:
    printed = machine.run("train_blocking", "--trial-rows", "8000", "--slices", "3", "--epochs", "3")
    losses = [float(loss) for loss in re.findall(r"loss (.*)", printed)]
    assert len(losses) == 3
    assert losses[-1] < losses[0]
    weights = [float(weight) for weight in re.findall(r"weight of x\d: (.*)", printed)]
    assert weights == pytest.approx([1.5, -2.0, 0.75], abs=0.05)
    rows = {int(rows) for rows in re.findall(r"(\d+) rows, loss", printed)}
    assert len(rows) == 1  # every epoch sees the same rows: all but those without a label
    assert 7800 < rows.pop() < 8000


@pytest.mark.slow
def test_many_tables_runs(machine: Machine) -> None:
    printed = machine.run("many_tables", "--trial-rows", "500", "--tables-at-once", "3")
    assert len(re.findall(r"^odps://demo/tables/sales_\w+/ds=\d+: 500 rows$", printed, re.MULTILINE)) == 24
    assert "total: 12000 rows of 24 tables and partitions" in printed
    assert re.search(r"average amount: (19|20)\.\d+", printed)


@pytest.mark.slow
def test_preprocess_runs(machine: Machine) -> None:
    printed = machine.run("preprocess", "--trial-rows", "2000")
    days = {day: int(written) for day, written in re.findall(r"(\d+): 2000 rows read, (\d+) rows written", printed)}
    assert sorted(days) == ["20240101", "20240102", "20240103", "20240104"]
    assert all(1600 < written < 2000 for written in days.values())


# ------------------------------------------------------------------------------------------------------- async service


@contextmanager
def serving(machine: Machine) -> Iterator[str]:
    """The address of a running async_service; at the end it is interrupted, and must have complained of nothing."""
    with subprocess.Popen(
        machine.command("async_service", "--port", "0"),
        cwd=machine.work,
        env=machine.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            address = re.search(r"http://\S+", process.stdout.readline())
            assert address is not None
            yield address[0]
            process.send_signal(signal.SIGINT)
            _, complaints = process.communicate(timeout=LIMIT_SECONDS)
        finally:
            process.kill()
    assert (process.returncode, complaints) == (0, "")
    machine.check_clean()


@pytest.mark.slow
def test_async_service_runs(machine: Machine) -> None:
    with serving(machine) as address:
        with urllib.request.urlopen(f"{address}/rows?columns=ID,temperature", timeout=LIMIT_SECONDS) as answer:
            rows = [json.loads(line) for line in answer]
        assert [row["id"] for row in rows] == list(range(200_000))
        assert rows[0].keys() == {"id", "temperature"}
        slices = []
        for number in range(3):
            url = f"{address}/arrow?slice_id={number}&slice_count=3"
            with urllib.request.urlopen(url, timeout=LIMIT_SECONDS) as answer:
                slices.append(pa.ipc.open_stream(answer).read_all())
        table = pa.concat_tables(slices)
        assert table.column("id").to_pylist() == list(range(200_000))
        assert table.column("temperature").to_pylist() == [row["temperature"] for row in rows]
        for wrong in ("columns=pressure", "slice_id=3", "slice_id=first"):
            with pytest.raises(urllib.error.HTTPError) as refused:
                urllib.request.urlopen(f"{address}/rows?{wrong}", timeout=LIMIT_SECONDS)
            with refused.value as answer:
                assert answer.status == 400


@pytest.mark.slow
def test_async_service_outlives_clients_that_leave(machine: Machine) -> None:
    with serving(machine) as address:
        for _ in range(3):
            with urllib.request.urlopen(f"{address}/rows", timeout=LIMIT_SECONDS) as answer:
                assert json.loads(answer.readline())["id"] == 0
        with urllib.request.urlopen(f"{address}/rows?slice_count=400", timeout=LIMIT_SECONDS) as answer:
            assert len(answer.readlines()) == 500


@pytest.mark.slow
async def test_async_service_takes_no_more_than_a_slow_client_does(
    load: Callable[[str], ModuleType], local_service: LocalService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ODPS_CONFIG_FILE_PATH", str(local_service.write_config(tmp_path / "odps_config.ini")))
    row_count = 200_000
    rows = pa.table({"id": range(row_count), "text": [f"{number:0200}" for number in range(row_count)]})
    async with aiopaiio.Client(project="demo") as client:
        await client.execute_sql("CREATE TABLE wide (id BIGINT, text STRING)")
        async with client.open_writer("odps://demo/tables/wide") as writer:
            await writer.write_batch(rows)

    behind = asyncio.Event()
    pause_writing = BaseProtocol.pause_writing

    def paused(protocol: BaseProtocol) -> None:
        pause_writing(protocol)
        behind.set()

    monkeypatch.setattr(BaseProtocol, "pause_writing", paused)
    example = load("async_service")
    monkeypatch.setattr(example, "MEMORY_LIMIT_BYTES", 1 << 20)
    async with TestServer(example.make_application("odps://demo/tables/wide")) as server:
        line = socket.socket()
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
        line.setblocking(False)
        await asyncio.get_running_loop().sock_connect(line, (server.host, server.port))
        reader, writer = await asyncio.open_connection(sock=line, limit=1 << 12)
        writer.write(b"GET /rows HTTP/1.0\r\n\r\n")
        await behind.wait()
        taken_bytes = local_service.statistics.sent_bytes
        body = (await reader.read()).partition(b"\r\n\r\n")[2]
        writer.close()
        await writer.wait_closed()
    assert taken_bytes < rows.nbytes / 2
    assert [json.loads(row)["id"] for row in body.splitlines()] == list(range(row_count))
