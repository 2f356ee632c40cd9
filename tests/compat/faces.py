"""The interface under each of its names, with what differs between them."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

__all__ = ["FACES", "Face", "face_of"]


@dataclass(frozen=True)
class Face:
    """One generation of the interface. ``text``: what a STRING cell is; ``plain``: ``read`` gives a list."""

    name: str
    TableReader: Any
    TableWriter: Any
    OutOfRangeException: Any
    text: Callable[[str], Any] = str
    plain: bool = False

    def __repr__(self) -> str:
        return self.name


FACES = ["paiio", "paiio.python_io", "common_io", "tf.python_io"]


def face_of(name: str) -> Face:
    """The face of one of :data:`FACES`; skips the test when it needs TensorFlow and that is not there."""
    importlib.import_module("paiio.compat")
    if name == "tf.python_io":
        tf = pytest.importorskip("tensorflow", reason="tf.python_io needs TensorFlow")
        io = tf.python_io
        return Face(name, io.TableReader, io.TableWriter, io.OutOfRangeException, text=str.encode)
    if name == "common_io":
        io = importlib.import_module("common_io")
        return Face(name, io.table.TableReader, io.table.TableWriter, io.exception.OutOfRangeException, plain=True)
    io = importlib.import_module(name)
    return Face(name, io.TableReader, io.TableWriter, io.OutOfRangeException)
