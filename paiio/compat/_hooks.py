"""Into Python's import system: where ``common_io`` is found, and what happens when TensorFlow has been imported."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

__all__ = ["NAMES_FOLDER", "install"]

NAMES_FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "names")
"""The folder that holds ``common_io``; on ``PYTHONPATH`` it makes all names available."""

_COMMON_IO, _TENSORFLOW = "common_io", "tensorflow"


def install() -> None:
    """Make the names importable from now on; a second time nothing happens.

    Raises ``ImportError`` when another ``common_io`` is in use already.
    """
    if any(isinstance(finder, _Finder) for finder in sys.meta_path):
        return
    other = sys.modules.get(_COMMON_IO)
    if other is not None and os.path.dirname(os.path.dirname(getattr(other, "__file__", None) or "")) != NAMES_FOLDER:
        raise ImportError(f"{other!r} is imported already; import paiio.compat before it", name=_COMMON_IO)
    sys.meta_path.insert(0, _Finder())
    tensorflow = sys.modules.get(_TENSORFLOW)
    if tensorflow is not None:
        _patch(tensorflow)


class _Finder(MetaPathFinder):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname == _COMMON_IO:
            return PathFinder.find_spec(fullname, [NAMES_FOLDER])
        if fullname != _TENSORFLOW:
            return None
        found = (finder.find_spec(fullname, path, target) for finder in sys.meta_path if finder is not self)
        spec = next(filter(None, found), None)
        if spec is not None and spec.loader is not None:
            spec.loader = _PatchingLoader(spec.loader)
        return spec


class _PatchingLoader(Loader):
    """Loads TensorFlow as its own loader does, and adds the names to it. Afterwards nothing is left of this one."""

    def __init__(self, loader: Loader) -> None:
        self._loader = loader

    def __getattr__(self, name: str) -> Any:
        # For those who look into TensorFlow's package without importing it.
        return getattr(self._loader, name)

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        module.__loader__ = self._loader
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        self._loader.exec_module(module)
        _patch(module)


def _patch(tensorflow: ModuleType) -> None:
    importlib.import_module("paiio.compat._tensorflow_names").add_names(tensorflow)
