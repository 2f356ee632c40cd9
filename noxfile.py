"""What is checked before a change is taken: ``nox`` runs all of it, ``nox -s lint`` one part.

Pythons that are not installed are passed over.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import nox

PYPROJECT = nox.project.load_toml("pyproject.toml")
PYTHONS = nox.project.python_versions(PYPROJECT)
SOURCES = ("aiopaiio/", "paiio/")

nox.needs_version = ">=2025.5"
nox.options.error_on_missing_interpreters = False
nox.options.download_python = "never"
nox.options.reuse_existing_virtualenvs = True


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """All tests on every supported Python; arguments after ``--`` go to pytest."""
    session.install("-e", ".[test]")
    session.run("python", "-m", "pytest", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Style and format."""
    session.install(*PYPROJECT["project"]["optional-dependencies"]["lint"])
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")


@nox.session
def typing(session: nox.Session) -> None:
    """mypy --strict: packages, examples, benchmarks, and tests/typing, which uses the public interface as users do."""
    session.install("-e", ".[typing]")
    session.run("mypy")


@nox.session(default=False)
def bench(session: nox.Session) -> None:
    """The benchmarks (tests/benchmarks/README.md); arguments after ``--`` go to ``python -m tests.benchmarks``."""
    session.install("-e", ".[bench]")
    session.run("python", "-m", "tests.benchmarks", *session.posargs)


@nox.session
def wheel(session: nox.Session) -> None:
    """Build the wheel, install it into a clean environment, and run all tests where the sources cannot be found."""
    session.install("build")
    built = Path(session.create_tmp()).resolve()
    for old in built.iterdir():
        shutil.rmtree(old) if old.is_dir() else old.unlink()
    session.run("python", "-m", "build", "--outdir", str(built), silent=True)
    (package,) = built.glob("*.whl")
    session.install("--force-reinstall", f"aiopaiio[test] @ {package.as_uri()}")
    elsewhere = built / "elsewhere"
    tracked = session.run("git", "ls-files", external=True, silent=True, log=False)
    assert isinstance(tracked, str)
    for name in tracked.splitlines():
        if not name.startswith(SOURCES):
            target = elsewhere / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(name, target)
    session.chdir(elsewhere)
    session.run("python", "-m", "pytest", *session.posargs)
