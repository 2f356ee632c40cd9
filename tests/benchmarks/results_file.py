"""Results as JSON: every round of every contender, and what is needed to compare them with another run."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import psutil

from tests.benchmarks.measuring import Figures, Round

__all__ = ["Results", "read_results", "write_results"]

_PACKAGES = ("aiopaiio", "pyodps", "pyarrow", "aiohttp", "numpy", "crc32c", "tensorflow")


@dataclass(frozen=True)
class Results:
    """One run of the suite: where and when, and all figures. ``about`` has no names of hosts, users or folders."""

    about: dict[str, Any]
    figures: Sequence[Figures]

    @staticmethod
    def of_this_run(figures: Sequence[Figures], *, quick: bool) -> Results:
        """The figures with a description of this machine."""
        about = {
            "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
            "processors": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
            "memory_bytes": psutil.virtual_memory().total,
            "architecture": platform.machine(),
            "system": platform.system(),
            "load_average": os.getloadavg(),
            "python": platform.python_version(),
            "packages": {name: _version(name) for name in _PACKAGES},
            "quick": quick,
        }
        return Results(about, figures)


def write_results(path: Path, results: Results) -> None:
    """Write all rounds; medians are there for the reader's convenience."""
    figures = [{**asdict(each), "median": asdict(each.median)} for each in results.figures]
    path.write_text(json.dumps({**results.about, "figures": figures}, indent=1) + "\n", encoding="utf-8")


def read_results(path: Path) -> Results:
    """What :func:`write_results` wrote."""
    about = json.loads(path.read_text(encoding="utf-8"))
    figures = []
    for each in about.pop("figures"):
        del each["median"]
        rounds = [Round(**one) for one in each.pop("rounds")]
        figures.append(Figures(**each, rounds=rounds))
    return Results(about, figures)


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
