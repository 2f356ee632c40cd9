"""The names that TensorFlow gets. What is behind them is imported when a program asks for one, and not before."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping
from types import ModuleType
from typing import Any

__all__ = ["add_names"]

_FACES = "paiio.compat.tensorflow_io"
_IN_PYTHON_IO = dict.fromkeys(("OutOfRangeException", "TableReader", "TableWriter"), _FACES)
_IN_DATA = {"TableRecordDataset": "paiio.data"}


def add_names(tensorflow: ModuleType) -> None:
    """To ``tf`` and ``tf.compat.v1``: ``python_io`` with readers and writers, and ``data.TableRecordDataset``.

    ``tf.python_io``, which TensorFlow 2 has no more, is that of ``tf.compat.v1``, with all it holds.
    """
    version_1 = getattr(getattr(tensorflow, "compat", None), "v1", None)
    python_io = getattr(version_1, "python_io", None) or ModuleType(f"{tensorflow.__name__}.python_io")
    _add_lazily(python_io, _IN_PYTHON_IO)
    roots: dict[str, Any] = {tensorflow.__name__: tensorflow, f"{tensorflow.__name__}.compat.v1": version_1}
    for path, root in roots.items():
        if root is None:
            continue
        if getattr(root, "python_io", None) is None:
            root.python_io = python_io
        # ``from tensorflow.data import ...`` would else load a second module and put it in the place of this one.
        sys.modules.setdefault(f"{path}.python_io", root.python_io)
        if hasattr(root, "data"):
            _add_lazily(root.data, _IN_DATA)
            sys.modules.setdefault(f"{path}.data", root.data)


def _add_lazily(module: ModuleType, names: Mapping[str, str]) -> None:
    """``names`` to the modules they are taken from. The module's own names stay."""
    earlier = vars(module).get("__getattr__")

    def __getattr__(name: str) -> Any:
        if name in names:
            return getattr(importlib.import_module(names[name]), name)
        if earlier is not None:
            return earlier(name)
        raise AttributeError(f"module {module.__name__!r} has no attribute {name!r}")

    # Through setattr, not vars: TensorFlow's modules may be wrappers of others.
    setattr(module, "__getattr__", __getattr__)  # noqa: B010 - mypy takes an assignment for one to a method
