"""``python -m tests.benchmarks [--quick] [--json FILE] [questions...]``, from the repository's root."""

from __future__ import annotations

import argparse
import asyncio
import importlib
import os
import sys
import tempfile
from pathlib import Path

from tests.benchmarks.bench import Bench
from tests.benchmarks.measuring import Figures, measure
from tests.benchmarks.reporting import print_figures, write_json
from tests.benchmarks.service_process import service_process

QUESTIONS = ("arrow_read", "record_read", "row_read", "write_rows", "write_arrow", "many_partitions", "start_up")
ROUNDS = 5


def main(arguments: list[str] | None = None) -> int:
    """Answer the questions; rows that are not the table's end the run with an error."""
    options = _parser().parse_args(arguments)
    all_figures: list[Figures] = []
    with tempfile.TemporaryDirectory(prefix="aiopaiio-bench-") as folder:
        loop = asyncio.new_event_loop()
        with service_process(Path(folder) / "root") as service:
            config = Path(folder) / "odps_config.ini"
            config.touch(mode=0o600)
            config.write_text(
                f"access_id={service.access_id}\naccess_key={service.access_key}\nend_point={service.endpoint}\n"
            )
            os.environ["ODPS_CONFIG_FILE_PATH"] = str(config)
            bench = Bench(service, loop, quick=options.quick)
            for question in options.questions or QUESTIONS:
                for case in importlib.import_module(f"tests.benchmarks.{question}").cases(bench):
                    figures = measure(case, options.rounds, service.cpu_seconds)
                    print_figures(figures)
                    all_figures += figures
            bench.close()
        loop.close()
    if options.json:
        write_json(options.json, all_figures, quick=options.quick)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description="Compare with PyODPS.")
    parser.add_argument("questions", nargs="*", metavar="question", help=f"of {', '.join(QUESTIONS)} (default: all)")
    parser.add_argument("--quick", action="store_true", help="tiny tables: shows that it runs, not how fast")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every round to FILE")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="measured rounds (%(default)s)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
