"""``python -m paiio.compat PROGRAM``: the program cannot tell it from ``python PROGRAM``, but for the names."""

from __future__ import annotations

import os
import subprocess
import zipfile
from pathlib import Path

import pytest

from .conftest import ROOT, run_python

COMPAT = ("-m", "paiio.compat")

SAYS_ALL = """
import json, os, sys
json.dump(
    {
        "argv": sys.argv, "first path": os.path.realpath(sys.path[0]), "name": __name__, "file": __file__,
        "package": __package__, "spec": repr(__spec__), "main": sys.modules["__main__"].__dict__ is globals(),
        "globals": sorted(name for name in globals() if name not in ("__annotations__", "__cached__")),
    },
    sys.stdout,
)
"""


def write(folder: Path, name: str, source: str) -> Path:
    file = folder / name
    file.parent.mkdir(exist_ok=True, parents=True)
    file.write_text(source)
    return file


def both(*arguments: str, cwd: Path) -> tuple[subprocess.CompletedProcess[str], subprocess.CompletedProcess[str]]:
    """The program run by Python itself, and by us."""
    return run_python(*arguments, cwd=cwd), run_python(*COMPAT, *arguments, cwd=cwd)


def test_a_file_sees_what_it_sees_without(tmp_path: Path) -> None:
    write(tmp_path, "jobs/job.py", SAYS_ALL)
    plain, ours = both("jobs/job.py", "-m", "x", "--path", "-h", cwd=tmp_path)
    assert (ours.stdout, ours.stderr, ours.returncode) == (plain.stdout, "", 0)
    assert '"argv": ["jobs/job.py", "-m", "x", "--path", "-h"]' in ours.stdout


def test_a_module_sees_its_arguments_and_package(tmp_path: Path) -> None:
    write(tmp_path, "jobs/__init__.py", "")
    write(tmp_path, "jobs/__main__.py", "import sys\nprint(sys.argv, __name__, __spec__.name, __package__)")
    plain, ours = both("-m", "jobs", "-m", "x", cwd=tmp_path)
    assert (ours.stdout, ours.stderr, ours.returncode) == (plain.stdout, "", 0)


def test_a_folder_and_an_archive(tmp_path: Path) -> None:
    source = "import sys, beside\nprint(sys.argv, __name__, beside.__name__)"
    for name in ("__main__.py", "beside.py"):
        write(tmp_path, f"job/{name}", source if name == "__main__.py" else "")
        with zipfile.ZipFile(tmp_path / "job.zip", "a") as archive:
            archive.write(tmp_path / "job" / name, name)
    for place in ("job", "job.zip"):
        done = run_python(*COMPAT, place, "x", cwd=tmp_path)
        assert (done.stdout, done.stderr) == (f"['{place}', 'x'] __main__ beside\n", "")


@pytest.mark.parametrize(
    "source",
    [
        "def fail():\n    raise ValueError('no')\n\nfail()",
        "try:\n    1 / 0\nexcept ZeroDivisionError as error:\n    raise KeyError(1) from error",
        "print(1",
        "import sys\nsys.exit(3)",
        "raise SystemExit('said at the end')",
        "raise KeyboardInterrupt",
        "import sys\nsys.excepthook = lambda kind, error, trace: print(kind, error, trace.tb_lineno)\nraise OSError(1)",
        "import atexit\natexit.register(lambda: print(len(globals()) > 5, __name__))",
        "import multiprocessing, os\nif os.fork() == 0:\n    raise ValueError('in the child')\nos.wait()",
    ],
)
def test_it_ends_as_it_ends_without(tmp_path: Path, source: str) -> None:
    write(tmp_path, "job.py", source)
    plain, ours = both("job.py", cwd=tmp_path)
    assert (ours.stdout, ours.stderr, ours.returncode) == (plain.stdout, plain.stderr, plain.returncode)


def test_a_module_that_fails_shows_nothing_of_ours(tmp_path: Path) -> None:
    write(tmp_path, "job.py", "raise ValueError('no')")
    done = run_python(*COMPAT, "-m", "job", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.endswith("ValueError: no\n")
    assert "compat" not in done.stderr


def test_programs_that_are_not_there(tmp_path: Path) -> None:
    for arguments, status, reason in (
        (("nothing.py",), 2, "can't open file"),
        ((), 2, "which program?"),
        (("-m",), 2, "which program?"),
        (("-m", "nothing"), 1, "nothing"),
    ):
        done = run_python(*COMPAT, *arguments, cwd=tmp_path)
        assert done.returncode == status
        assert reason in done.stderr


def test_processes_that_the_program_starts_have_the_names(tmp_path: Path) -> None:
    write(
        tmp_path,
        "job.py",
        """
import multiprocessing, subprocess, sys
from importlib.util import find_spec
from helper_of_the_job import square

def work(number):
    return square(number), find_spec("common_io").name

if __name__ == "__main__":
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        print(pool.map(work, [3]))
    show = "import sys, importlib.util as u; print(u.find_spec('common_io').name, 'paiio.compat' in sys.modules)"
    print(subprocess.run([sys.executable, "-c", show], check=True, capture_output=True, text=True).stdout, end="")
""",
    )
    write(tmp_path, "helper_of_the_job.py", "def square(number):\n    return number * number")
    done = run_python(*COMPAT, "job.py", cwd=tmp_path)
    assert done.stderr == ""
    assert done.stdout.splitlines() == ["[(9, 'common_io')]", "common_io True"]


def test_the_folder_on_the_search_path(tmp_path: Path) -> None:
    folder = run_python(*COMPAT, "--path").stdout.strip()
    job = write(tmp_path, "job.py", "import sys, common_io\nprint(common_io.__file__, 'paiio.compat' in sys.modules)")
    done = run_python(str(job), paths=(folder, ROOT))
    assert done.stdout == f"{os.path.join(folder, 'common_io', '__init__.py')} True\n"


def test_a_sitecustomize_of_the_users_own_still_runs(tmp_path: Path) -> None:
    folder = run_python(*COMPAT, "--path").stdout.strip()
    write(tmp_path, "sitecustomize.py", "import sys\nsys.the_users_own = __file__")
    show = "import sys; print(sys.the_users_own, sys.modules['sitecustomize'].__file__, 'paiio.compat' in sys.modules)"
    done = run_python("-c", show, paths=(folder, ROOT, tmp_path))
    assert (done.stdout, done.stderr) == (f"{tmp_path / 'sitecustomize.py'} {tmp_path / 'sitecustomize.py'} True\n", "")
    write(tmp_path, "sitecustomize.py", "import nothing_of_this_name")
    done = run_python("-c", "", paths=(folder, ROOT, tmp_path))
    assert "nothing_of_this_name" in done.stderr


def test_a_python_without_paiio_is_left_in_peace(tmp_path: Path) -> None:
    folder = run_python(*COMPAT, "--path").stdout.strip()
    # Isolated from the packages of this environment: -S leaves them out, so site is run by hand with the path alone.
    done = run_python("-S", "-c", "import sitecustomize, sys; print(sitecustomize.__file__)", paths=(folder,))
    assert (done.stdout, done.stderr) == (f"{os.path.join(folder, 'sitecustomize.py')}\n", "")
