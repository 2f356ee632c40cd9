"""The result tables of the pages: ``README.md`` beside this file has all of them, the project's the headlines.

A page says where they go by a pair of comments, ``<!-- results -->`` and ``<!-- end of results -->``.
"""

from __future__ import annotations

import re
import statistics
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path

from tests.benchmarks.measuring import Figures
from tests.benchmarks.results_file import Results
from tests.benchmarks.table_columns import table_columns

__all__ = ["all_tables", "headlines", "put_between_markers"]

_BEGIN, _END = "<!-- results -->", "<!-- end of results -->"


def put_between_markers(page: Path, text: str) -> None:
    """Replace what stands between the markers of ``page``; ``ValueError`` when it has none."""
    before, begin, rest = page.read_text(encoding="utf-8").partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not (begin and end):
        raise ValueError(f"{page} has no {_BEGIN} ... {_END}")
    page.write_text(f"{before}{_BEGIN}\n{text.strip()}\n{_END}{after}", encoding="utf-8")


def all_tables(results: Results, plots: Sequence[str] = ()) -> str:
    """A line about the machine, a table for each question, and the pictures at ``plots``."""
    lines = [_machine(results), ""]
    for question, of_question in groupby(results.figures, key=lambda each: each.question):
        figures = list(of_question)
        lines += [f"### {question}", "", *_table(figures), ""]
    if plots:
        lines += ["### Curves", "", *(f"![{Path(plot).stem}]({plot})" for plot in plots)]
    return "\n".join(lines)


def headlines(results: Results) -> str:
    """How many times as fast as the peer the first way of ours is, by question; then the network and the memory."""
    lines = ["| | against | times as fast, by case |", "|---|---|---|"]
    for question, of_question in groupby(results.figures, key=lambda each: each.question):
        cases = [list(case) for name, case in groupby(of_question, key=lambda each: each.case) if name not in _ASIDE]
        ours = [ratio for case in cases for ratio in _our_ratios(case)[:1]]
        peers = [_REQUESTS.sub("", each.contender) for case in cases for each in case if each.role == "peer"]
        if ours and peers:
            span = f"{min(ours):.1f} to {max(ours):.1f}" if len(ours) > 1 else f"{ours[0]:.1f}"
            middle = f", median {statistics.median(ours):.1f}" if len(ours) > 2 else ""
            lines.append(
                f"| {_SUBJECTS.get(question, question)} | {', '.join(dict.fromkeys(peers))} | {span}{middle} |"
            )
    return "\n".join([*lines, "", *_sentences(results)])


_ASIDE = {"close, 50 ms a round trip"}  # both sides need the same requests, so there is no rate to compare
_REQUESTS = re.compile(r", \d+ requests$")
_SUBJECTS = {
    "arrow_read": "a table to Arrow batches, 10 to 1000 columns, texts of 8 B to 100 KiB",
    "datasets": "a table into TensorFlow, in batches of 1024",
    "long_fat_network": "a table over a distant or limited link, default settings",
    "many_tables": "1 to 1000 small partitions, near and 50 ms away",
    "record_read": "the record wire form to tuples",
    "row_read": "`TableReader.read(1024)` to the end of a table",
    "start_up": "importing; a program that opens a table and prints its first row",
    "write_arrow": "Arrow batches written, one block at a time",
    "write_rows": "rows written",
}


def _sentences(results: Results) -> Iterator[str]:
    """What is not said against a peer."""
    walls = [each.of_the_wall for each in results.figures if each.question == "arrow_read" and not each.role]
    if shares_of_wall := [share for share in walls if share is not None]:
        yield (
            f"Arrow batches arrive at {min(shares_of_wall):.0%} to {max(shares_of_wall):.0%} "
            f"(median {statistics.median(shares_of_wall):.0%}) of the rate at which plain aiohttp takes in the same "
            "bytes without looking at them."
        )
    for each in results.figures:
        if each.case == "50 ms" and (share := each.median.numbers.get("of the link")) is not None:
            yield (
                f"Of a link of 100 MB/s that is 50 ms away and gives each stream 10 MB/s, {share:.0%} are used over "
                "the whole read of a table, opening included, without tuning."
            )
    peaks = [each.median.numbers["of the limit"] for each in results.figures if "of the limit" in each.median.numbers]
    if peaks:
        yield (
            f"A reader of a table of 10 GB grew its process by at most {max(peaks):.2f} of its memory limit, in "
            f"{len(peaks)} combinations of limits of 64 to 1024 MiB, 1 to 64 streams, and rows of 100 B and of 8 MiB."
        )


def _our_ratios(case: Sequence[Figures]) -> list[float]:
    return [each.ratio for each in case if not each.role and each.ratio is not None]


def _machine(results: Results) -> str:
    about = results.about
    packages = ", ".join(f"{name} {version}" for name, version in about["packages"].items() if version)
    load = about["load_average"][0]
    rounds = max(len(each.rounds) for each in results.figures)
    return (
        f"{about['date'][:10]}, {about['processors']} processors ({about['architecture']}), "
        f"{about['memory_bytes'] / 2**30:.0f} GiB, {about['system']}, Python {about['python']}, {packages}. "
        f"Rounds: {rounds}. Load average at the end: {load:.1f}."
    )


def _table(figures: Sequence[Figures]) -> Iterator[str]:
    headings, cells_of = zip(*table_columns(figures), strict=True)
    yield f"| case | {' | '.join(headings)} |"
    yield f"|---|{'---|' * len(headings)}"
    for _, case in groupby(figures, key=lambda each: each.case):
        for number, each in enumerate(case):
            name = "" if number else f"{each.case}, {each.case_bytes / 1e6:,.1f} MB"
            yield f"| {name} | {' | '.join(cell(each) for cell in cells_of)} |"
