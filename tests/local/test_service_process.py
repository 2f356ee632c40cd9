"""``python -m aiopaiio.local``: start, configuration file, stop."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import aiohttp
import pytest

from aiopaiio.config import load_config
from aiopaiio.local import LocalService, serve
from aiopaiio.local.__main__ import main
from fixtures.local_service import ServiceProcess
from fixtures.signed_http import ids_of, signed_http

STOP_SECONDS = 15


class Address:
    """What :func:`signed_http` needs to know of a service in another process."""

    def __init__(self, process: ServiceProcess) -> None:
        self.tunnel_endpoint = process.endpoint.removesuffix("/api")
        self.access_id, self.access_key = process.keys


@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.slow)])
async def test_a_signal_stops_it_cleanly_even_with_a_download_stalled(
    service_process: ServiceProcess, number: signal.Signals
) -> None:
    config = load_config(service_process.config_file, environ={})
    assert config.endpoint == service_process.endpoint
    assert (config.access_id, config.access_key) == service_process.keys
    assert stat.S_IMODE(service_process.config_file.stat().st_mode) == 0o600
    async with signed_http(Address(service_process)) as http:  # type: ignore[arg-type]  # all that is used of it
        assert (await http("POST", f"{http.table}?downloads", access_key="wrong")).status == 401
        await http.fill(1_000_000)
        path = f"{http.table}?data&arrow&downloadid={await http.create_download()}&rowrange=(0,1000000)"
        async with aiohttp.ClientSession(read_bufsize=1024) as session:
            url = http.service.tunnel_endpoint + path
            async with session.get(url, headers=http.headers("GET", path, {})) as response:
                await response.content.readexactly(10)
                service_process.process.send_signal(number)
                assert service_process.process.wait(STOP_SECONDS) == 0
                with pytest.raises((aiohttp.ClientPayloadError, ConnectionError)):
                    await response.content.read()


@pytest.mark.slow
async def test_two_processes_on_one_root_of_which_one_is_killed(
    start_service_process: Callable[..., ServiceProcess], service_process: ServiceProcess
) -> None:
    other = start_service_process(service_process.root)
    assert other.keys != service_process.keys
    async with (
        signed_http(Address(service_process)) as one,  # type: ignore[arg-type]  # all that is used of it
        signed_http(Address(other)) as two,  # type: ignore[arg-type]  # all that is used of it
    ):
        await one.fill(100)
        download = await one.create_download()
        service_process.process.kill()
        service_process.process.wait(STOP_SECONDS)
        # A session made by one is known to the other, and what was committed is there.
        assert ids_of((await two.read(download, 0, 100)).body) == list(range(100))


def test_no_flag_is_needed(tmp_path: Path) -> None:
    environment = {**os.environ, "HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path / "data")}
    command = [sys.executable, "-m", "aiopaiio.local"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline().startswith("end_point=http://127.0.0.1:")
            config = process.stdout.readline().strip().partition("=")[2]
            assert load_config(config, environ={}).endpoint
            assert Path(config).is_relative_to(tmp_path)
            process.terminate()
            assert process.wait(STOP_SECONDS) == 0
        finally:
            process.kill()


def test_an_address_in_use_is_said_plainly(
    threaded_service: LocalService, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--root", str(tmp_path / "other"), "--port", str(threaded_service.port)]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "cannot start" in captured.err


async def test_a_configuration_file_is_replaced_and_never_readable_by_others(
    local_service: LocalService, tmp_path: Path
) -> None:
    path = tmp_path / "folder" / "config.ini"
    path.parent.mkdir()
    path.write_text("old")
    path.chmod(0o644)
    local_service.write_config(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert load_config(path, environ={}).access_key == local_service.access_key
    assert [entry.name for entry in path.parent.iterdir()] == ["config.ini"]


async def test_given_keys_and_no_check(tmp_path: Path) -> None:
    async with serve(tmp_path, access_id="me", access_key="secret") as service, signed_http(service) as http:
        assert (service.access_id, service.access_key) == ("me", "secret")
        assert "secret" not in repr(service)
        assert (await http("GET", "/api/projects/demo/tables")).status == 200
    async with serve(tmp_path, require_auth=False) as service, signed_http(service) as http:
        assert (await http("GET", "/api/projects/demo/tables", access_key="wrong")).status == 200


async def test_neither_address_begins_with_the_other(local_service: LocalService) -> None:
    assert not local_service.tunnel_endpoint.startswith(local_service.endpoint)
    async with signed_http(local_service) as http:
        found = await http("GET", "/api/projects/demo/tunnel?service")
        assert "http://" + found.text == local_service.tunnel_endpoint
