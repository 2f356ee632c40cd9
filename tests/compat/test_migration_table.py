"""README's table of old and new names: each old one is there, is what it says, and none is missing."""

from __future__ import annotations

import importlib
import re
from typing import Any

import pytest

from .conftest import ROOT

SECTION = (ROOT / "README.md").read_text(encoding="utf-8").split("\n## Programs that exist already\n")[1]
ROWS = [line.strip("|").split("|") for line in SECTION.split("\n## ")[0].splitlines() if line.startswith("| `")]
NAMES = [
    pair for old, new, _ in ROWS for pair in zip(re.findall("`(.+?)`", old), re.findall("`(.+?)`", new), strict=True)
]


def resolve(name: str) -> Any:
    importlib.import_module("paiio.compat")
    if name.startswith("tf.") or "data" in name or "Dataset" in name:
        pytest.importorskip("tensorflow", reason="the name is TensorFlow's")
    root, *rest = name.replace("tf.", "tensorflow.", 1).split(".") if name.startswith("tf.") else name.split(".")
    found: Any = importlib.import_module(root)
    for part in rest:
        found = getattr(found, part) if hasattr(found, part) else importlib.import_module(f"{found.__name__}.{part}")
    return found


@pytest.mark.parametrize(("old", "new"), NAMES)
def test_an_old_name_is_the_new_thing(old: str, new: str) -> None:
    was, now = resolve(old), resolve(new)
    differences = next(row[2] for row in ROWS if f"`{old}`" in row[0]).strip()
    assert issubclass(was, now)
    assert (was is now) == (differences == "none")


def test_tensorflows_modules_by_their_own_names() -> None:
    dataset, reader = resolve("tf.data.TableRecordDataset"), resolve("tf.python_io.TableReader")
    for name in ("tensorflow", "tensorflow.compat.v1"):
        assert importlib.import_module(f"{name}.data").TableRecordDataset is dataset
        assert importlib.import_module(f"{name}.python_io").TableReader is reader
    # Nothing has been put in their places by that.
    assert resolve("tf.data.TableRecordDataset") is resolve("tf.compat.v1.data.TableRecordDataset") is dataset


def test_no_name_is_missing() -> None:
    assert sorted(old for old, _ in NAMES) == [
        "common_io.exception.OutOfRangeException",
        "common_io.table.TableReader",
        "common_io.table.TableWriter",
        "paiio.TableReader",
        "paiio.TableRecordDataset",
        "paiio.TableWriter",
        "tf.data.TableRecordDataset",
        "tf.python_io.OutOfRangeException",
        "tf.python_io.TableReader",
        "tf.python_io.TableWriter",
    ]
