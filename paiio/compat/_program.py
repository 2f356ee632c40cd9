"""Runs a program in this process as ``python PROGRAM ARGS...`` or ``python -m MODULE ARGS...`` would."""

from __future__ import annotations

import os
import runpy
import sys
import zipfile
from collections.abc import Callable
from importlib.machinery import SourceFileLoader
from types import ModuleType

__all__ = ["run_file", "run_module"]


def run_file(path: str, arguments: list[str]) -> None:
    """Run the file (or the folder or archive with a ``__main__``) as the main module."""
    sys.argv[:] = [path, *arguments]
    if os.path.isdir(path) or zipfile.is_zipfile(path):
        _drop_own_place()
        _as_its_own(lambda: runpy.run_path(path, run_name="__main__"))
        return
    try:
        with open(path, "rb") as file:
            source = file.read()
    except OSError as error:
        raise SystemExit(_refusal(path, error)) from None
    if not _safe_path():
        sys.path[0] = os.path.dirname(os.path.realpath(path))
    main = ModuleType("__main__")
    main.__file__ = os.path.abspath(path)
    main.__loader__ = SourceFileLoader("__main__", main.__file__)
    # As Python has it; processes that are spawned find the main module by the file then.
    main.__spec__ = None
    vars(main)["__builtins__"] = __builtins__
    sys.modules["__main__"] = main
    _as_its_own(lambda: exec(compile(source, main.__file__ or path, "exec", dont_inherit=True), vars(main)))


def run_module(name: str, arguments: list[str]) -> None:
    """Run the module, or the package's ``__main__``, as the main module."""
    sys.argv[:] = [name, *arguments]
    _as_its_own(lambda: runpy.run_module(name, run_name="__main__", alter_sys=True))


def _as_its_own(program: Callable[[], object]) -> None:
    """Run it so that a traceback begins with the program's own lines; how it ends is left to Python."""
    try:
        program()
    except Exception as error:
        _hide_own_frames(error)
        raise
    except KeyboardInterrupt as error:
        _hide_own_frames(error)
        raise


def _hide_own_frames(error: BaseException) -> None:
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename == __file__:
        trace = trace.tb_next
    show = sys.excepthook
    # On its way out the exception would get the frames of this module and of its callers once more.
    sys.excepthook = lambda kind, raised, _: show(kind, raised.with_traceback(trace), trace)


def _drop_own_place() -> None:
    if not _safe_path():
        del sys.path[0]


def _safe_path() -> bool:
    return bool(getattr(sys.flags, "safe_path", False))


def _refusal(path: str, error: OSError) -> int:
    print(f"{sys.executable}: can't open file {os.path.abspath(path)!r}: {error}", file=sys.stderr)
    return 2
