"""The examples that need TensorFlow run as their reader would run them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest

pytest.importorskip("tensorflow", reason="datasets need TensorFlow")

import aiopaiio

from .conftest import MakeTable

EXAMPLES = Path(__file__).parents[2] / "examples"
pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def run(folder: Path, name: str, *arguments: str, own_service: bool = True) -> str:
    """What the example prints; it must succeed."""
    environment = {key: value for key, value in os.environ.items() if not own_service or "ODPS" not in key}
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / f"{name}.py"), *arguments],
        cwd=folder,
        env=environment | {"PYTHONPATH": str(Path(aiopaiio.__file__).parents[1]), "HOME": str(folder)},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("name", ["documented_dataset", "predict_flights", "train_flights"])
def test_help_says_what_it_is(tmp_path: Path, name: str) -> None:
    assert "odps://" in run(tmp_path, name, "--help")


def test_the_documented_program(tmp_path: Path, make_table: MakeTable) -> None:
    printed = run(tmp_path, "documented_dataset")
    assert printed.startswith("[25 38 17] [b'Apple' b'Pear' b'Watermelon'] [5.  4.5 0. ]\n")
    assert printed.endswith("all rows read, twice\n")
    rows = pa.record_batch({"uid": pa.array([7], pa.int64()), "name": ["x"], "price": [0.5]})
    assert run(tmp_path, "documented_dataset", make_table(rows), own_service=False).startswith(
        "[7 7] [b'x' b'x'] [0.5 0.5]"
    )


def test_training_on_flights(tmp_path: Path) -> None:
    printed = run(tmp_path, "train_flights", "--rows", "6000")
    counts = re.findall(r"^epoch \d: ([\d,]+) flights", printed, re.MULTILINE)
    losses = [float(loss) for loss in re.findall(r"loss ([\d.]+)", printed)]
    # As many arrived as the file says; the others have no delay to learn from.
    assert len(counts) == 2
    assert counts[0] == counts[1]
    assert 5500 < int(counts[0].replace(",", "")) < 6000
    assert losses[1] < losses[0]


def test_predicting_delays(tmp_path: Path) -> None:
    printed = run(tmp_path, "predict_flights", "--rows", "3000")
    assert re.search(r"^3,000 delays written, wrong by \d+ minutes on average$", printed, re.MULTILINE)
    assert re.search(r"^3,000 rows in odps://demo/tables/delays, the first: \(0, -?[\d.]+\)$", printed, re.MULTILINE)
