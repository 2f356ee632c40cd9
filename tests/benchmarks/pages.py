"""The result tables of the pages: ``README.md`` beside this file has all of them, the project's the headlines.

A page says where they go by a pair of comments, ``<!-- results -->`` and ``<!-- end of results -->``.
"""

from __future__ import annotations

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


def all_tables(results: Results) -> str:
    """A line about the machine, then a table for each question."""
    lines = [_machine(results), ""]
    for question, of_question in groupby(results.figures, key=lambda each: each.question):
        figures = list(of_question)
        lines += [f"### {question}", "", *_table(figures), ""]
    return "\n".join(lines)


def headlines(results: Results) -> str:
    """One line for each question that has a peer: how many times as fast the first way of ours is, by case."""
    lines = ["| question | against | times as fast |", "|---|---|---|"]
    for question, of_question in groupby(results.figures, key=lambda each: each.question):
        cases = [list(case) for _, case in groupby(of_question, key=lambda each: each.case)]
        ours = [ratio for case in cases for ratio in _our_ratios(case)[:1]]
        peers = [each.contender for case in cases for each in case if each.role == "peer"]
        if ours and peers:
            span = f"{min(ours):.1f} to {max(ours):.1f}" if len(ours) > 1 else f"{ours[0]:.1f}"
            middle = f", median {statistics.median(ours):.1f}" if len(ours) > 2 else ""
            lines.append(f"| `{question}` | {peers[0]} | {span}{middle} |")
    return "\n".join(lines)


def _our_ratios(case: Sequence[Figures]) -> list[float]:
    return [each.ratio for each in case if not each.role and each.ratio is not None]


def _machine(results: Results) -> str:
    about = results.about
    packages = ", ".join(f"{name} {version}" for name, version in about["packages"].items() if version)
    load = about["load_average"][0]
    return (
        f"{about['date'][:10]}, {about['processors']} processors ({about['architecture']}), "
        f"{about['memory_bytes'] / 2**30:.0f} GiB, {about['system']}, Python {about['python']}, {packages}. "
        f"Load average at the end: {load:.1f}."
    )


def _table(figures: Sequence[Figures]) -> Iterator[str]:
    headings, cells_of = zip(*table_columns(figures), strict=True)
    yield f"| case | {' | '.join(headings)} |"
    yield f"|---|{'---|' * len(headings)}"
    for _, case in groupby(figures, key=lambda each: each.case):
        for number, each in enumerate(case):
            name = "" if number else f"{each.case}, {each.case_bytes / 1e6:,.1f} MB"
            yield f"| {name} | {' | '.join(cell(each) for cell in cells_of)} |"
