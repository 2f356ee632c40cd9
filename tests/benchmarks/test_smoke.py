"""The suite runs and checks its rows; how fast anything is, is not a test's business."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.benchmarks.pages import all_tables, headlines, put_between_markers
from tests.benchmarks.questions import QUESTIONS
from tests.benchmarks.results_file import read_results

_REPOSITORY = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_quick_run_answers_every_question(tmp_path: Path) -> None:
    assert len(QUESTIONS) > 6
    results = tmp_path / "results.json"
    command = [sys.executable, "-m", "tests.benchmarks", "--quick", "--rounds", "1", "--json", str(results)]
    done = subprocess.run(command, cwd=_REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    figures = json.loads(results.read_text())["figures"]
    assert {each["question"] for each in figures} == set(QUESTIONS)
    for each in figures:
        assert len(each["rounds"]) == 1
        assert each["rounds"][0]["wall_seconds"] > 0
        assert each["question"] in done.stdout
    read = read_results(results)
    assert re.findall(r"^### (.*)", all_tables(read), re.MULTILINE) == list(QUESTIONS)
    page = tmp_path / "page.md"
    page.write_text("Before\n<!-- results -->\nold\n<!-- end of results -->\nAfter\n")
    put_between_markers(page, headlines(read))
    assert re.fullmatch(r"Before\n.*PyODPS.*\nAfter\n", page.read_text(), re.DOTALL)
    assert "old" not in page.read_text()
