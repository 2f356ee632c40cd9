"""Figures as a table for people and as JSON for programs."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path

from tests.benchmarks.measuring import Figures

__all__ = ["print_figures", "write_json"]

_HEADINGS = ("contender", "median s", "range s", "ratio", "Mrows/s", "MB/s", "client CPU s", "service CPU s")
_FILE_WIDTH = 140
_PACKAGES = ("aiopaiio", "pyodps", "pyarrow", "aiohttp", "numpy", "crc32c")


def print_figures(figures: Sequence[Figures]) -> None:
    """Print the contenders of one case. Uses rich when it is there."""
    first = figures[0]
    title = f"{first.question}: {first.case}, {first.rows:,} rows, {first.byte_count / 1e6:,.1f} MB"
    rows = [_cells(each) for each in figures]
    try:
        from rich.console import Console
        from rich.table import Table
    except ImportError:
        _print_plain(title, rows)
        return
    table = Table(title=title, title_justify="left")
    for number, heading in enumerate(_HEADINGS):
        table.add_column(heading, justify="right" if number else "left", no_wrap=True)
    for cells in rows:
        table.add_row(*cells)
    console = Console()
    # Into a file or a pipe a table goes whole; rich would fold it to 80 characters.
    Console(width=None if console.is_terminal else _FILE_WIDTH).print(table)


def write_json(path: Path, figures: Sequence[Figures], *, quick: bool) -> None:
    """Write all rounds, with what is needed to compare them with another run."""
    described = {
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "machine": {
            "processors": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
            "architecture": platform.machine(),
            "system": platform.system(),
            "load_average": os.getloadavg() if hasattr(os, "getloadavg") else None,
        },
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in _PACKAGES},
        "quick": quick,
        "figures": [{**asdict(each), "median": asdict(each.median)} for each in figures],
    }
    path.write_text(json.dumps(described, indent=1) + "\n", encoding="utf-8")


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _cells(figures: Figures) -> tuple[str, ...]:
    median = figures.median
    fastest, slowest = figures.wall_range
    return (
        figures.contender,
        f"{median.wall_seconds:.3f}",
        f"{fastest:.3f}-{slowest:.3f}",
        f"{figures.ratio:.2f}x",
        f"{figures.rows / median.wall_seconds / 1e6:.3f}",
        f"{figures.byte_count / median.wall_seconds / 1e6:,.0f}",
        f"{median.client_cpu_seconds:.3f}",
        f"{median.service_cpu_seconds:.2f}",
    )


def _print_plain(title: str, rows: Sequence[tuple[str, ...]]) -> None:
    widths = [max(map(len, column)) for column in zip(_HEADINGS, *rows, strict=True)]
    print(f"\n{title}")
    for cells in (_HEADINGS, *rows):
        others = [cell.rjust(width) for cell, width in zip(cells[1:], widths[1:], strict=True)]
        print("  ".join([cells[0].ljust(widths[0]), *others]))
