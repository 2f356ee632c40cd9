"""``python -m tests.benchmarks [questions...]``, from the repository's root; ``--help`` lists the rest."""

from __future__ import annotations

import argparse
import asyncio
import importlib
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

from tests.benchmarks.bench import Bench
from tests.benchmarks.measuring import Case, Figures, measure
from tests.benchmarks.pages import all_tables, headlines, put_between_markers
from tests.benchmarks.questions import QUESTIONS
from tests.benchmarks.results_file import Results, read_results, write_results
from tests.benchmarks.service_process import REPOSITORY, service_process
from tests.benchmarks.terminal import print_figures

ROUNDS = 5


def main(arguments: list[str] | None = None) -> int:
    """Answer the questions; rows that are not the table's end the run with an error."""
    options = _parser().parse_args(arguments)
    if options.load:
        runs = [read_results(path) for path in options.load]
        results = Results(runs[-1].about, [each for run in runs for each in run.figures])
    else:
        figures = answer(options.questions or QUESTIONS, rounds=options.rounds, quick=options.quick, only=options.only)
        results = Results.of_this_run(figures, quick=options.quick)
    if options.json:
        write_results(options.json, results)
    plots: list[Path] = []
    if options.plots:
        from tests.benchmarks.plots import write_plots

        plots = write_plots(options.plots, results.figures)
    if options.pages:
        page = Path(__file__).with_name("README.md").resolve()
        beside = [str(plot.resolve().relative_to(page.parent)) for plot in plots if _is_below(page.parent, plot)]
        put_between_markers(page, all_tables(results, beside))
        put_between_markers(REPOSITORY / "README.md", headlines(results))
    return 0


def answer(questions: Sequence[str], *, rounds: int, quick: bool, only: str = "") -> list[Figures]:
    """Measure the cases of ``questions`` whose names contain ``only``; each table is printed as soon as it is there."""
    all_figures: list[Figures] = []
    with (
        tempfile.TemporaryDirectory(prefix="aiopaiio-bench-") as folder,
        closing(asyncio.new_event_loop()) as loop,
        service_process(Path(folder) / "root") as service,
        closing(Bench(service, loop, quick=quick, only=only)) as bench,
    ):
        config = Path(folder) / "odps_config.ini"
        service.write_config(config)
        os.environ["ODPS_CONFIG_FILE_PATH"] = str(config)
        for question in questions:
            for case in _cases(question, bench):
                if bench.wants(case.question, case.name):
                    figures = measure(case, rounds, service.cpu_seconds, warm_up=not quick)
                    print_figures(figures)
                    all_figures += figures
    return all_figures


def _cases(question: str, bench: Bench) -> Iterator[Case]:
    try:
        module = importlib.import_module(f"tests.benchmarks.{question}")
    except ModuleNotFoundError as error:
        if error.name != "tensorflow":
            raise
        print(f"{question}: passed over, TensorFlow is not installed")
        return
    yield from module.cases(bench)


def _is_below(folder: Path, path: Path) -> bool:
    return folder in path.resolve().parents


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description="Compare with PyODPS.")
    parser.add_argument("questions", nargs="*", metavar="question", help=f"of {', '.join(QUESTIONS)} (default: all)")
    parser.add_argument("--quick", action="store_true", help="tiny tables: shows that it runs, not how fast")
    parser.add_argument("--only", default="", metavar="TEXT", help="cases whose 'question: case' contains TEXT")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="measured rounds (%(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every round to FILE")
    parser.add_argument(
        "--load", type=Path, nargs="+", metavar="FILE", help="take the figures from such FILEs, measure nothing"
    )
    parser.add_argument("--plots", type=Path, metavar="DIR", help="draw curves into DIR (needs the extra 'bench')")
    parser.add_argument(
        "--pages",
        action="store_true",
        help="put the tables into the two README.md, and plots that lie below this folder",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
