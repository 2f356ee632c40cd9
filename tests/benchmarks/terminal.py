"""Figures as tables for people."""

from __future__ import annotations

from collections.abc import Sequence

from tests.benchmarks.measuring import Figures
from tests.benchmarks.table_columns import table_columns

__all__ = ["print_figures"]

_FILE_WIDTH = 200


def print_figures(figures: Sequence[Figures]) -> None:
    """Print the contenders of one case. Uses rich when it is there."""
    first = figures[0]
    title = f"{first.question}: {first.case} ({first.case_bytes / 1e6:,.1f} MB)"
    headings, cells_of = zip(*table_columns(figures), strict=True)
    rows = [[cell(each) for cell in cells_of] for each in figures]
    try:
        from rich.console import Console
        from rich.table import Table
    except ImportError:
        _print_plain(title, headings, rows)
        return
    table = Table(title=title, title_justify="left")
    for number, heading in enumerate(headings):
        table.add_column(heading, justify="right" if number else "left", no_wrap=number == 0)
    for cells in rows:
        table.add_row(*cells)
    console = Console()
    # Into a file or a pipe a table goes whole; rich would fold it to 80 characters.
    Console(width=None if console.is_terminal else _FILE_WIDTH).print(table)


def _print_plain(title: str, headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    widths = [max(map(len, column)) for column in zip(headings, *rows, strict=True)]
    print(f"\n{title}")
    for cells in (headings, *rows):
        others = [cell.rjust(width) for cell, width in zip(cells[1:], widths[1:], strict=True)]
        print("  ".join([cells[0].ljust(widths[0]), *others]))
