"""Who has no TensorFlow is told what to install, and only when asking for a dataset."""

from __future__ import annotations

import sys

import pytest

import paiio


@pytest.fixture(autouse=True)
def no_tensorflow(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(sys.modules):
        if name.startswith(("tensorflow.", "paiio.data")):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.delitem(paiio.__dict__, "data", raising=False)
    monkeypatch.setitem(sys.modules, "tensorflow", None)


@pytest.mark.parametrize("name", ["data", "TableRecordDataset"])
def test_the_error_names_the_extra(name: str) -> None:
    with pytest.raises(ImportError, match=r"pip install 'aiopaiio\[tensorflow\]'"):
        getattr(paiio, name)


def test_nothing_else_needs_it() -> None:
    assert paiio.TableReader is paiio.python_io.TableReader
    assert "TableRecordDataset" not in paiio.__all__
