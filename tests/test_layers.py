"""Imports point down only, and each foreign thing has the one place where it may be used. Read from the sources."""

from __future__ import annotations

import ast
import importlib.util
from collections.abc import Iterator
from pathlib import Path

import pytest

# Modules of ``aiopaiio`` from the bottom up; a module may import its own layer and those below. What is not named here
# is pure: bytes and values in, bytes and values out.
VALUES, PURE, HTTP, TUNNEL, TRANSFER, CLIENT, PACKAGE = range(7)
LAYERS = {
    VALUES: {"arguments", "config", "errors", "odps_types", "schema", "slicing", "table_path"},
    HTTP: {"http", "retry"},
    TUNNEL: {"service_api", "session_quota", "statements", "tunnel"},
    TRANSFER: {
        "batch_queue",
        "blocks",
        "commit",
        "download",
        "opening",
        "owned_tasks",
        "prefetch",
        "read_ahead",
        "reader",
        "shared_upload",
        "slice_lock",
        "snapshot",
        "writer",
    },
    CLIENT: {"client", "embedded", "read_planning", "tables"},
    PACKAGE: {""},
}
LAYER_OF = {name: layer for layer, names in LAYERS.items() for name in names}

# The layers of the blocking face; its other private modules come between the client and python_io.
FACE = {"paiio._bridge": 0, "paiio._client": 1, "paiio.python_io": 3, "paiio.data": 4}
FACE_PRIVATE, FACE_PACKAGE = 2, 5

# The layers of the service for one machine, which stands beside the client.
SERVICE = ["aiopaiio.local.storage", "aiopaiio.local.ddl", "aiopaiio.local"]

# The embedded service of a ``local:DIR`` endpoint is started by the client, and by nobody else.
EXCEPTIONS = {("aiopaiio.embedded", "aiopaiio.local")}

# Foreign module -> where it may be imported.
ONLY_IN = {
    "aiohttp": ("aiopaiio.http", "aiopaiio.local"),
    "concurrent": ("paiio._bridge", "aiopaiio.local"),
    "multiprocessing": (),
    "requests": (),
    "sqlite3": ("aiopaiio.local.storage",),
    "subprocess": (),
    "tensorflow": ("paiio.data", "paiio.compat.tensorflow_io"),
    "threading": ("paiio._bridge", "paiio._turns", "aiopaiio.local"),
}
NOT_IN_PURE = {"aiohttp", "anyio", "asyncio", "selectors", "socket", "ssl", "threading", "time", "urllib.request"}
NOT_IN_STORAGE = {"aiohttp", "anyio", "asyncio"}

STARTS_TASKS = {"create_task", "create_task_group", "ensure_future", "gather", "start_soon"}
MAY_START_TASKS = ("aiopaiio.local", "paiio._bridge")

SAYS_NOTHING = {"base", "common", "helper", "helpers", "misc", "util", "utils"}


def within(module: str, package: str) -> bool:
    return module == package or module.startswith(f"{package}.")


def imports(source: str) -> Iterator[str]:
    """Every module that is imported anywhere in a source, deferred imports too; ``from a import b`` counts as a.b."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute, so that they can be read without knowing where they stand"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def core_layer(module: str) -> int:
    return LAYER_OF.get(module.removeprefix("aiopaiio").removeprefix("."), PURE)


def face_layer(module: str) -> int:
    for package, layer in FACE.items():
        if within(module, package):
            return layer
    return FACE_PRIVATE if module.startswith("paiio._") else FACE_PACKAGE


def service_layer(module: str) -> int:
    return next(layer for layer, package in enumerate(SERVICE) if within(module, package))


def points_down(module: str, imported: str) -> bool:
    """Whether one of our modules may import another one of ours."""
    if any(within(module, above) and within(imported, below) for above, below in EXCEPTIONS):
        return True
    if within(module, "paiio"):
        if within(imported, "paiio"):
            return face_layer(imported) <= face_layer(module)
        return not within(imported, "aiopaiio.local")
    if within(imported, "paiio"):
        return False
    if within(module, "aiopaiio.local"):
        if not within(imported, "aiopaiio.local"):
            return core_layer(imported) <= PURE
        return service_layer(imported) <= service_layer(module)
    return not within(imported, "aiopaiio.local") and core_layer(imported) <= core_layer(module)


def our_module(name: str, modules: set[str]) -> str | None:
    """The module of ours that an imported name is, or is taken from."""
    while name:
        if name in modules:
            return name
        name = name.rpartition(".")[0]
    return None


def violations(module: str, source: str, modules: set[str]) -> list[str]:
    """What a module does that its layer must not."""
    pure = within(module, "aiopaiio") and not within(module, "aiopaiio.local") and core_layer(module) <= PURE
    found = []
    for name in imports(source):
        imported = our_module(name, modules)
        if imported is not None:
            if imported != module and not points_down(module, imported):
                found.append(f"{module} imports {imported}, which is not below it")
            continue
        for foreign, places in ONLY_IN.items():
            if within(name, foreign) and not any(within(module, place) for place in places):
                found.append(f"{module} imports {foreign}; only {places or 'nobody'} may")
        if pure and any(within(name, foreign) for foreign in NOT_IN_PURE):
            found.append(f"{module} imports {name}, but it is pure: no I/O, no loop, no clock")
        if any(within(module, place) for place in SERVICE[:2]) and any(within(name, f) for f in NOT_IN_STORAGE):
            found.append(f"{module} imports {name}, but it is blocking and knows nothing of HTTP")
    tree = ast.parse(source)
    if pure and any(isinstance(node, ast.AsyncFunctionDef) for node in ast.walk(tree)):
        found.append(f"{module} has async functions, but it is pure")
    if core_layer(module) < TRANSFER and not any(within(module, place) for place in (*MAY_START_TASKS, "paiio")):
        used = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)} & STARTS_TASKS
        if used:
            found.append(f"{module} starts tasks ({', '.join(sorted(used))})")
    if module.rpartition(".")[2].strip("_") in SAYS_NOTHING:
        found.append(f"{module}: the name says nothing")
    return found


def sources() -> dict[str, str]:
    """Module name to source, of both packages as they are installed."""
    found = {}
    for package in ("aiopaiio", "paiio"):
        spec = importlib.util.find_spec(package)
        assert spec is not None
        assert spec.origin is not None
        root = Path(spec.origin).parent
        for file in root.rglob("*.py"):
            parts = (package, *file.relative_to(root).with_suffix("").parts)
            found[".".join(parts).removesuffix(".__init__")] = file.read_text(encoding="utf-8")
    return found


SOURCES = sources()


@pytest.mark.parametrize("module", sorted(SOURCES))
def test_imports_point_down(module: str) -> None:
    assert violations(module, SOURCES[module], set(SOURCES)) == []


def test_the_layers_name_modules_that_exist() -> None:
    named = {f"aiopaiio.{name}".rstrip(".") for name in LAYER_OF}
    assert named <= set(SOURCES)


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("aiopaiio.errors", "import aiopaiio.frames"),
        ("aiopaiio.frames", "from aiopaiio.http import HttpClient"),
        ("aiopaiio.frames", "from aiopaiio import tunnel"),
        ("aiopaiio.frames", "import asyncio"),
        ("aiopaiio.frames", "def late():\n    import time"),
        ("aiopaiio.frames", "async def read(): ..."),
        ("aiopaiio.http", "from aiopaiio.tunnel import Tunnel"),
        ("aiopaiio.tunnel", "import aiohttp"),
        ("aiopaiio.tunnel", "async def f():\n    asyncio.create_task(g())"),
        ("aiopaiio.reader", "from aiopaiio.client import Client"),
        ("aiopaiio.reader", "import threading"),
        ("aiopaiio.writer", "from aiopaiio.local import serve"),
        ("aiopaiio.client", "import paiio"),
        ("aiopaiio.local.app", "from aiopaiio.tunnel import Tunnel"),
        ("aiopaiio.local.app", "import aiopaiio"),
        ("aiopaiio.local.storage.store", "from aiopaiio.local.answers import Refused"),
        ("aiopaiio.local.storage.store", "import asyncio"),
        ("aiopaiio.local.ddl.execution", "import sqlite3"),
        ("paiio._bridge", "import paiio._reader"),
        ("paiio._reader", "import threading"),
        ("paiio._reader", "from paiio.python_io import TableReader"),
        ("paiio._reader", "import aiopaiio.local"),
        ("paiio.python_io", "import tensorflow as tf"),
        ("paiio.compat", "import tensorflow as tf"),
        ("paiio._reader", "import paiio.compat.common_io"),
        ("aiopaiio.utils", ""),
    ],
)
def test_what_points_up_is_seen(module: str, source: str) -> None:
    assert violations(module, source, set(SOURCES)) != []


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("aiopaiio.frames", "import zlib\nfrom aiopaiio.errors import ChecksumError"),
        ("aiopaiio.embedded", "def late():\n    from aiopaiio.local import serve"),
        ("aiopaiio.local.app", "import aiohttp\nfrom aiopaiio.arrow_stream import ArrowStreamDecoder"),
        ("aiopaiio.reader", "asyncio.create_task(pump())"),
        ("paiio.data", "import tensorflow as tf\nfrom paiio._bridge import bridge"),
        ("paiio._bridge", "import threading"),
    ],
)
def test_what_points_down_is_let_pass(module: str, source: str) -> None:
    assert violations(module, source, set(SOURCES)) == []
