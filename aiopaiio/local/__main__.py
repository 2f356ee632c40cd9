"""``python -m aiopaiio.local``: the service as a process of its own."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
import sys
from pathlib import Path

import platformdirs

from aiopaiio.local.service import serve

CONFIG_NAME = "odps_config.ini"


def main(arguments: list[str] | None = None) -> int:
    """Run until SIGTERM or SIGINT; the exit status is 0 then, 1 when the service cannot start."""
    options = _parser().parse_args(arguments)
    try:
        return asyncio.run(_run(options))
    except OSError as error:
        print(f"the service cannot start: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m aiopaiio.local",
        description="A MaxCompute-compatible table service for one machine. "
        "The first line it prints, when it accepts connections, is its end_point.",
    )
    default_root = Path(platformdirs.user_data_dir("aiopaiio")) / "local"
    parser.add_argument(
        "--root", type=Path, default=default_root, metavar="DIR", help="where tables are kept (%(default)s)"
    )
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on (%(default)s)")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one (%(default)s)")
    parser.add_argument(
        "--config-file",
        type=Path,
        metavar="FILE",
        help=f"where the end_point and fresh keys are written for clients (DIR/{CONFIG_NAME})",
    )
    return parser


async def _run(options: argparse.Namespace) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        # Elsewhere than on POSIX Ctrl-C still raises KeyboardInterrupt.
        with contextlib.suppress(NotImplementedError):
            loop.add_signal_handler(number, stop.set)
    async with serve(options.root, host=options.host, port=options.port) as service:
        config = service.write_config(options.config_file or options.root / CONFIG_NAME)
        print(f"end_point={service.endpoint}", flush=True)
        print(f"ODPS_CONFIG_FILE_PATH={config.absolute()}", flush=True)
        await stop.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
