"""The questions: every module of this folder that has ``cases``."""

from __future__ import annotations

from pathlib import Path

__all__ = ["QUESTIONS"]

QUESTIONS = tuple(
    # By their text: to import them all takes TensorFlow, and seconds.
    path.stem
    for path in sorted(Path(__file__).parent.glob("*.py"))
    if "\ndef cases(bench: Bench)" in path.read_text(encoding="utf-8")
)
