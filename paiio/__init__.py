"""paiio: blocking table I/O for MaxCompute (ODPS), with the names and the behaviour of the module of the same name.

    reader = paiio.python_io.TableReader("odps://PROJECT/tables/TABLE")
    try:
        while True:
            rows = reader.read(1024)
    except paiio.python_io.OutOfRangeException:
        reader.close()

It needs no TensorFlow. Everything is loaded when it is first used, and the configuration is read when a table is
opened.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from paiio import python_io
    from paiio.python_io import OutOfRangeException, TableReader, TableWriter

__all__ = ["OutOfRangeException", "TableReader", "TableWriter", "python_io"]


def __getattr__(name: str) -> Any:
    if name in ("data", "TableRecordDataset"):  # not in __all__: a star import must not need TensorFlow
        data = importlib.import_module("paiio.data")
        return data if name == "data" else data.TableRecordDataset
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    python_io = importlib.import_module("paiio.python_io")
    return python_io if name == "python_io" else getattr(python_io, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
