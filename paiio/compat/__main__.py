"""``python -m paiio.compat PROGRAM ARGS...``: run a program that knows this interface by older names."""

from __future__ import annotations

import argparse
import os
import sys

import paiio
from paiio.compat import NAMES_FOLDER
from paiio.compat._program import run_file, run_module

_PATHS = "PYTHONPATH"


def main(arguments: list[str]) -> None:
    """Run what the arguments say; the program's exit is this one's."""
    parser = argparse.ArgumentParser(
        prog="python -m paiio.compat",
        usage="%(prog)s [-h] (--path | PROGRAM | -m MODULE) [ARGS...]",
        description="Run a program that imports common_io, or uses tf.python_io and tf.data.TableRecordDataset.",
    )
    parser.add_argument("--path", action="store_true", help=f"print the folder that does the same on {_PATHS}")
    parser.add_argument("-m", dest="module", action="store_true", help="PROGRAM is the name of a module")
    parser.add_argument("program", nargs="?", metavar="PROGRAM", help="a file, or a folder or archive with __main__")
    parser.add_argument("arguments", nargs=argparse.REMAINDER, metavar="ARGS", help="the program's own")
    options = parser.parse_args(arguments)
    if options.path:
        print(NAMES_FOLDER)
        return
    if options.program is None:
        parser.error("which program?")
    _keep_packages_importable()
    _hand_on_to_children()
    run = run_module if options.module else run_file
    run(options.program, options.arguments)


def _keep_packages_importable() -> None:
    """Where this was started by its folder, that folder leaves ``sys.path`` when the program's takes its place."""
    folder = os.path.dirname(os.path.dirname(os.path.abspath(paiio.__file__ or "")))
    if folder not in sys.path[1:]:
        sys.path.append(folder)


def _hand_on_to_children() -> None:
    paths = [path for path in os.environ.get(_PATHS, "").split(os.pathsep) if path]
    if NAMES_FOLDER not in paths:
        os.environ[_PATHS] = os.pathsep.join([NAMES_FOLDER, *paths])


if __name__ == "__main__":
    main(sys.argv[1:])
