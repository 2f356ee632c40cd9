"""What README.md says is so: its programs print what it shows, its tables are complete, its commands are CI's."""

from __future__ import annotations

import builtins
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import aiopaiio
from aiopaiio import config
from aiopaiio.schema import arrow_type

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
LIMIT_SECONDS = 60


def section(title: str) -> str:
    """The text of one ``##`` section."""
    return README.split(f"\n## {title}\n")[1].split("\n## ")[0]


def table_rows(title: str) -> list[list[str]]:
    """The cells of the table of a section, without its head."""
    rows = [line.strip("|").split("|") for line in section(title).splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row] for row in rows[2:]]


def code(cell: str) -> list[str]:
    """What stands between backticks."""
    return re.findall("`([^`]+)`", cell)


def blocks(language: str, text: str = README) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def programs() -> list[tuple[str, str]]:
    """Each Python program with what it is said to print; nothing, where that is not shown."""
    return re.findall(r"^```python\n(.*?)^```$(?:\n\n^```text\n(.*?)^```$)?", README, re.MULTILINE | re.DOTALL)


@pytest.mark.slow
def test_the_programs_of_the_tour_print_what_is_shown(tmp_path: Path) -> None:
    (tmp_path / "odps_config.ini").write_text(blocks("ini", section("A tour"))[0])
    environment = {name: value for name, value in os.environ.items() if not re.search("ODPS|ACCESS|ALIBABA", name)}
    environment |= {
        "HOME": str(tmp_path),
        "ODPS_CONFIG_FILE_PATH": str(tmp_path / "odps_config.ini"),
        "PYTHONPATH": str(Path(aiopaiio.__file__).parent.parent),
    }
    found = programs()
    assert len(found) >= 5
    for program, shown in found:
        done = subprocess.run(
            [sys.executable, "-W", "always::ResourceWarning", "-c", program],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=LIMIT_SECONDS,
            check=False,
        )
        # TensorFlow tells of the processor and of missing GPUs, whatever it is asked.
        complaints = "" if "paiio.data" in program and not done.returncode else done.stderr
        assert (done.returncode, complaints) == (0, ""), program
        if shown:
            assert done.stdout == shown, program


def test_every_shell_line_of_the_two_commands_is_what_ci_and_people_run() -> None:
    demo, tests = (block.strip() for block in blocks("sh", section("Try it")))
    assert "\n" not in demo + tests
    ci = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    assert ci[-1] == tests
    assert ci.count("set -euo pipefail") == 1
    assert demo.endswith("examples/flights.py")


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\((?!https?:)([^)#]+)\)", README))))
def test_links_lead_somewhere(link: str) -> None:
    assert (ROOT / link).exists()


def test_the_table_of_examples_is_complete() -> None:
    told = re.findall(r"^\| \[examples/(\w+)\.py\]", section("A tour"), re.MULTILINE)
    # What the others import is none.
    assert sorted(told) == sorted({file.stem for file in (ROOT / "examples").glob("*.py")} - {"trial_service"})


def test_the_table_of_configuration_is_complete() -> None:
    rows = table_rows("Configuration")
    told = {code(name)[0]: (tuple(code(keys)), tuple(code(variables))) for name, keys, variables, _ in rows}
    assert told == config._KEYS


def test_the_table_of_errors_is_complete() -> None:
    told = {name for row in table_rows("Errors") for name in code(row[0]) if not hasattr(builtins, name)}
    exported = [getattr(aiopaiio, name) for name in aiopaiio.__all__]
    errors = {kind.__name__ for kind in exported if isinstance(kind, type) and issubclass(kind, Exception)}
    assert told == errors - {"Error"}


def test_the_errors_are_what_the_table_says_they_are_too() -> None:
    claims = re.findall(r"`(\w+)`\** \(an? `(\w+)`\)", section("Errors"))
    assert len(claims) >= 5
    for name, kind in claims:
        assert issubclass(getattr(aiopaiio, name), getattr(builtins, kind))


def test_the_table_of_types_is_what_comes() -> None:
    rows = table_rows("Types")
    for types, _, arrow in rows:
        told, came = code(arrow), [str(arrow_type(kind.lower())) for kind in code(types)]
        wide = [str(arrow_type(kind.lower(), wide_timestamps=True)) for kind in code(types)]
        assert list(dict.fromkeys([*came, *wide])) == told
    named = " ".join(types for types, _, _ in rows).lower()
    assert {"json", "timestamp_ntz", "interval_year_month"} <= set(re.findall(r"\w+", named))
