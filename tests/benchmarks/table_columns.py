"""What the tables say of each contender, in the terminal and on the pages."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from tests.benchmarks.measuring import Figures

__all__ = ["Column", "table_columns"]

Column = tuple[str, Callable[[Figures], str]]


def table_columns(figures: Sequence[Figures]) -> list[Column]:
    """Headings and cells, without those that would be empty for all of ``figures``."""
    columns: list[Column] = [("contender", lambda each: each.contender)]
    if all(each.once for each in figures):
        columns.append(("seconds", lambda each: f"{each.median.wall_seconds:.2f}"))
    else:
        columns += _of_speed(figures)
    for name in dict.fromkeys(name for each in figures for name in each.median.numbers):
        columns.append((name, lambda each, name=name: _number(each.median.numbers.get(name))))  # type: ignore[misc]
    return columns


def _of_speed(figures: Sequence[Figures]) -> list[Column]:
    columns: list[Column] = [("median s (range)", _seconds)]
    if any(each.ratio is not None for each in figures):
        columns.append(("ratio", lambda each: "" if each.ratio is None else f"{each.ratio:.2f}x"))
    if any(each.of_the_wall is not None for each in figures):
        columns.append(("of the wall", lambda each: "" if each.of_the_wall is None else f"{each.of_the_wall:.0%}"))
    return [
        *columns,
        ("rows/s", lambda each: _number(each.rows_per_second)),
        ("MB/s", lambda each: _number(each.byte_count / each.median.wall_seconds / 1e6)),
        ("client CPU s", lambda each: f"{each.median.client_cpu_seconds:.3f}"),
        ("service CPU s", lambda each: f"{each.median.service_cpu_seconds:.2f}"),
    ]


def _seconds(figures: Figures) -> str:
    fastest, slowest = figures.wall_range
    return f"{figures.median.wall_seconds:.3f} ({fastest:.3f}-{slowest:.3f})"


def _number(value: float | None) -> str:
    """Three digits, at least."""
    if value is None:
        return ""
    if math.isinf(value):
        return "never"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
