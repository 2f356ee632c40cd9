"""Scaling curves and traces as PNG files. Needs matplotlib (the extra ``bench``)."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.benchmarks.measuring import Figures

__all__ = ["write_plots"]

_INCHES = (7.5, 4.5)
_LOGARITHMIC_FROM = 30
"""An axis whose ends are this far apart, as a quotient, is logarithmic."""


def write_plots(folder: Path, figures: Sequence[Figures]) -> list[Path]:
    """One file for each axis of each question, and one for each case that has traces; returns them."""
    import matplotlib as mpl

    mpl.use("agg")
    folder.mkdir(parents=True, exist_ok=True)
    return [*_curves(folder, figures), *_traces(folder, figures)]


def _curves(folder: Path, figures: Sequence[Figures]) -> list[Path]:
    axes_of: defaultdict[tuple[str, str], list[Figures]] = defaultdict(list)
    for each in figures:
        for axis in each.curves:
            axes_of[each.question, axis].append(each)
    written = []
    for (question, axis), members in axes_of.items():
        lines: defaultdict[str, list[tuple[float, float]]] = defaultdict(list)
        plot, axes = _new_plot(question, axis, "MB/s")
        for each in members:
            rate, at = each.byte_count / each.median.wall_seconds / 1e6, each.curves[axis]
            if at is None:
                axes.axhline(rate, linestyle="--", color=f"C{7 + len(axes.lines) % 3}", label=each.line)
            else:
                lines[each.line].append((at, rate))
        if max(map(len, lines.values()), default=0) < 2:
            continue
        for name, points in lines.items():
            axes.plot(*zip(*sorted(points), strict=True), marker="o", label=name)
        places = [at for points in lines.values() for at, _ in points]
        if min(places) > 0 and max(places) >= _LOGARITHMIC_FROM * min(places):
            axes.set_xscale("log")
        axes.set_ylim(bottom=0)
        written.append(_save(plot, axes, folder, f"{question} {axis}"))
    return written


def _traces(folder: Path, figures: Sequence[Figures]) -> list[Path]:
    cases: defaultdict[tuple[str, str], list[Figures]] = defaultdict(list)
    for each in figures:
        if each.trace and each.median.trace:
            cases[each.question, each.case].append(each)
    written = []
    for (question, case), members in cases.items():
        plot, axes = _new_plot(f"{question}: {case}", "seconds", members[0].trace)
        for each in members:
            axes.plot(*zip(*each.median.trace, strict=True), label=each.contender)
        axes.set_ylim(bottom=0)
        written.append(_save(plot, axes, folder, f"{question} {case}"))
    return written


def _new_plot(title: str, across: str, up: str) -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    plot = Figure(figsize=_INCHES, layout="constrained")
    axes = plot.subplots()
    axes.set_title(title, loc="left")
    axes.set_xlabel(across)
    axes.set_ylabel(up)
    axes.grid(alpha=0.3)
    return plot, axes


def _save(plot: Any, axes: Any, folder: Path, name: str) -> Path:
    axes.legend(fontsize="small")
    path = folder / f"{re.sub(r'[^a-z0-9]+', '-', name.lower()).strip('-')}.png"
    plot.savefig(path, dpi=80)
    return path
