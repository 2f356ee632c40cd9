"""How much memory does a reader take from a table of 10 GB, with a fast consumer and a slow one?

The reader is a process of its own and is watched from outside. What counts is the growth of its resident memory over
what it was when the reader was open, against ``memory_limit_bytes``.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import psutil

from tests.benchmarks.bench import Bench, table_path
from tests.benchmarks.made_rows import text_rows
from tests.benchmarks.measuring import Case, Contender, Observed, WrongRows
from tests.benchmarks.repeated_rows import RepeatedRows
from tests.benchmarks.service_process import REPOSITORY

_QUESTION = "memory"
_MIB = 1 << 20
_ROW_WIDTHS = {"100 B": 100, "8 MiB": 8 * _MIB - 64}  # a message of 8 MiB, and the longest text of the service is 8 MiB
_SLOW_BYTES_PER_SECOND = 20e6
_SAMPLE_SECONDS = 0.01
_TRACED = 400


def cases(bench: Bench) -> Iterator[Case]:
    """For rows of 100 B and of 8 MiB: the whole table fast, then budgets and streams with a slow consumer.

    The record form has fewer of them: the two budgets that are hardest to keep.
    """
    for described, width in _ROW_WIDTHS.items():
        kinds = ["fast consumer", "slow consumer", "slow consumer, record form"]
        names = [f"rows of {described}, {kind}" for kind in kinds]
        if not any(bench.wants(_QUESTION, name) for name in names):
            continue
        block_rows = max(1, (8 if bench.quick else 64) * _MIB // width)
        times = 3 if bench.quick else 160
        table = bench.load_repeated(text_rows(width, block_rows), times)
        fast = [(256, 0)] if bench.quick else [(64, 0), (256, 0)]
        slow = [(64, 4)] if bench.quick else [(mib, streams) for mib in (64, 256, 1024) for streams in (0, 1, 64)]
        records = slow[:1] if bench.quick else [(mib, streams) for mib in (64, 256) for streams in (0, 64)]
        for name, settings, rate, wire_form in (
            (names[0], fast, None, "auto"),
            (names[1], slow, _SLOW_BYTES_PER_SECOND, "auto"),
            (names[2], records, _SLOW_BYTES_PER_SECOND, "record"),
        ):
            readers = [_reader(bench, table, width, mib, streams, rate, wire_form) for mib, streams in settings]
            rows, size = table.row_count, table.row_count * (width + 12)
            yield Case(_QUESTION, name, rows, size, "", readers, trace="growth of resident memory, MiB", once=True)
        bench.drop(table.name)


def _reader(
    bench: Bench,
    table: RepeatedRows,
    width: int,
    limit_mib: int,
    streams: int,
    bytes_per_second: float | None,
    wire_form: str,
) -> Contender:
    task = {
        "path": table_path(table.name),
        "options": {"memory_limit_bytes": limit_mib * _MIB, "concurrency": streams, "wire_form": wire_form},
        "width": width,
        "rows": table.block.num_rows,
        "bytes_per_second": bytes_per_second,
        # Long enough that all queues are full.
        "seconds": None if bytes_per_second is None else 0.5 if bench.quick else 5.0,
    }

    def check(answer: dict[str, float]) -> None:
        # The reader itself has compared every row, and their number when it went to the end.
        if not answer["rows"]:
            raise WrongRows("no rows were read")

    return Contender(
        f"{limit_mib} MiB, {f'{streams} streams' if streams else 'default streams'}",
        lambda: _watch(task, limit_mib),
        check,
    )


def _watch(task: dict[str, Any], limit_mib: int) -> Observed:
    """Run the reader and watch it."""
    command = [sys.executable, "-m", "tests.benchmarks.memory_reader", json.dumps(task)]
    with subprocess.Popen(command, cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        if child.stdout.readline() != "ready\n":
            raise RuntimeError("the reader did not start; its errors are above")
        process = psutil.Process(child.pid)
        before = process.memory_info().rss
        answers: list[str] = []
        stdout = child.stdout
        answering = threading.Thread(target=lambda: answers.append(stdout.readline()))
        child.stdin.write("\n")
        child.stdin.flush()
        began = time.perf_counter()
        answering.start()
        growth: list[tuple[float, float]] = []
        while answering.is_alive():
            growth.append((time.perf_counter() - began, (process.memory_info().rss - before) / _MIB))
            answering.join(_SAMPLE_SECONDS)
    if not answers[0]:
        raise WrongRows("the reader failed; its error is above")
    answer = json.loads(answers[0])
    peak = max(value for _, value in growth)
    half = len(growth) // 2
    numbers = {
        "peak growth MiB": peak,
        "of the limit": peak / limit_mib,
        "2nd half peak MiB": max(value for _, value in growth[half:]),
        "MB/s taken": answer["bytes"] / answer["seconds"] / 1e6,
    }
    return Observed(answer, numbers, growth[:: max(1, len(growth) // _TRACED)])
