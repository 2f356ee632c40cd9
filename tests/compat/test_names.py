"""The old names come when they are asked for, on the very object that has them, and not a moment earlier."""

from __future__ import annotations

from pathlib import Path

from .conftest import ROOT, run_python

# What of TensorFlow's layout matters: tf.compat.v1 with a python_io; two data modules, one of them with a __getattr__;
# all in a folder of its own, so that to import one by the name that it is known by would make a second module of it.
TENSORFLOW = {
    "__init__.py": """
import os
from tensorflow import errors
from tensorflow._api import compat, data
__path__.append(os.path.join(__path__[0], "_api"))
assert __spec__.loader is __loader__ and type(__loader__).__name__ == "SourceFileLoader", __loader__
""",
    "_api/__init__.py": "",
    "_api/data.py": "class Dataset: pass",
    "errors.py": """
class OutOfRangeError(Exception):
    def __init__(self, node_def, op, message):
        super().__init__()
        self._message = message
    @property
    def message(self):
        return self._message
""",
    "_api/compat/__init__.py": "from tensorflow._api.compat import v1",
    "_api/compat/v1/__init__.py": "from tensorflow._api.compat.v1 import data, python_io",
    "_api/compat/v1/data.py": """
def __getattr__(name):
    if name == "made_on_demand":
        return 1
    raise AttributeError(name)
""",
    "_api/compat/v1/python_io.py": "class TFRecordWriter: pass",
}


def python(source: str, *paths: Path) -> list[str]:
    done = run_python("-c", source, paths=(ROOT, *paths))
    assert (done.stderr, done.returncode) == ("", 0)
    return done.stdout.splitlines()


def make_tensorflow(folder: Path) -> Path:
    for name, source in TENSORFLOW.items():
        file = folder / "tensorflow" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(source)
    return folder


def test_without_compat_there_are_none(tmp_path: Path) -> None:
    shown = python(
        """
import importlib.util, sys
import paiio, paiio.python_io
print(importlib.util.find_spec("common_io"), "tensorflow" in sys.modules)
import tensorflow as tf
print(hasattr(tf, "python_io"), hasattr(tf.data, "TableRecordDataset"), hasattr(tf.compat.v1.python_io, "TableReader"))
print([name for name in sys.modules if "compat" in name and "paiio" in name])
""",
        make_tensorflow(tmp_path),
    )
    assert shown == ["None False", "False False False", "[]"]


def test_common_io_imported_in_every_way() -> None:
    shown = python(
        """
import sys
import paiio.compat, paiio.compat
print(sorted({"tensorflow", "numpy", "pyarrow", "aiopaiio", "common_io"} & set(sys.modules)))
import common_io
print(common_io.table.TableReader.__qualname__, common_io.exception.OutOfRangeException.__name__)
from common_io import table
import common_io.table as again
from common_io.exception import OutOfRangeException
import paiio
print(table is again is common_io.table, OutOfRangeException is paiio.OutOfRangeException, "tensorflow" in sys.modules)
print(issubclass(table.TableReader, paiio.TableReader), table.TableWriter is paiio.TableWriter)
"""
    )
    assert shown == ["[]", "TableReader OutOfRangeException", "True True False", "True True"]


def test_an_installed_common_io_is_passed_over_but_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "common_io.py").write_text("table = 'the other'")
    shown = python("import paiio.compat, common_io; print(common_io.table.__name__)", tmp_path)
    assert shown == ["common_io.table"]
    shown = python(
        """
import common_io
try:
    import paiio.compat
except ImportError as error:
    print("before it" in str(error), error.name, common_io.table)
""",
        tmp_path,
    )
    assert shown == ["True common_io the other"]


SHOW_TENSORFLOW = """
print(tf.__loader__ is tf.__spec__.loader, type(tf.__loader__).__name__)
print(tf.python_io is tf.compat.v1.python_io, tf.python_io.TFRecordWriter.__name__, tf.compat.v1.data.made_on_demand)
print("aiopaiio" in sys.modules)
print(tf.python_io.TableReader.__module__, tf.python_io.TableWriter.__name__)
from tensorflow.python_io import OutOfRangeException
print([kind.__name__ for kind in OutOfRangeException.__mro__])
for module in (tf.data, tf.compat.v1.data, tf.python_io):
    try:
        module.nothing
    except AttributeError as error:
        print("nothing" in str(error))
"""
SHOWN_TENSORFLOW = [
    "True SourceFileLoader",
    "True TFRecordWriter 1",
    "False",
    "paiio.compat.tensorflow_io TableWriter",
    "['OutOfRangeException', 'OutOfRangeException', 'OutOfRange', 'Error', 'EOFError', 'OutOfRangeError', "
    "'Exception', 'BaseException', 'object']",
    "True",
    "True",
    "True",
]


def test_tensorflow_gets_its_names_when_the_program_imports_it(tmp_path: Path) -> None:
    before = "import sys, paiio.compat\nprint('tensorflow' in sys.modules)\nimport tensorflow as tf"
    assert python(before + SHOW_TENSORFLOW, make_tensorflow(tmp_path)) == ["False", *SHOWN_TENSORFLOW]


def test_tensorflow_is_found_without_being_imported(tmp_path: Path) -> None:
    shown = python(
        """
import importlib.util, pkgutil, sys
import paiio.compat
spec = importlib.util.find_spec("tensorflow")
print(spec.loader.get_filename("tensorflow") == spec.origin, spec.loader.is_package("tensorflow"))
print(len(pkgutil.get_data("tensorflow.errors", "errors.py")) > 0, "aiopaiio" in sys.modules)
""",
        make_tensorflow(tmp_path),
    )
    assert shown == ["True True", "True False"]


def test_tensorflow_that_is_there_gets_them_at_once(tmp_path: Path) -> None:
    before = "import sys, tensorflow as tf\nimport paiio.compat"
    assert python(before + SHOW_TENSORFLOW, make_tensorflow(tmp_path)) == SHOWN_TENSORFLOW


def test_the_dataset_is_fetched_from_paiio_data(tmp_path: Path) -> None:
    shown = python(
        """
import importlib, sys, types
import paiio.compat, tensorflow as tf
sys.modules["paiio.data"] = types.SimpleNamespace(TableRecordDataset="the dataset")
print(tf.data.TableRecordDataset, tf.compat.v1.data.TableRecordDataset, hasattr(tf.compat.v1.data, "nothing"))
import tensorflow.compat.v1 as tf1
print(tf1.data.TableRecordDataset, tf1.python_io.TableWriter.__name__)
for name in ("tensorflow", "tensorflow.compat.v1"):
    module = importlib.import_module(f"{name}.data")
    print(module.TableRecordDataset, importlib.import_module(f"{name}.python_io").TableReader.__name__)
print(tf.data.TableRecordDataset, tf.compat.v1.data.TableRecordDataset, hasattr(tf.data, "Dataset"))
""",
        make_tensorflow(tmp_path),
    )
    assert shown == [
        "the dataset the dataset False",
        *["the dataset TableWriter", *["the dataset TableReader"] * 2],
        "the dataset the dataset True",
    ]


def test_without_tensorflow_its_import_fails_as_ever() -> None:
    shown = python(
        """
import sys
import paiio.compat
sys.path[:] = [path for path in sys.path if "site-packages" not in path]
try:
    import tensorflow
except ModuleNotFoundError as error:
    print(error)
"""
    )
    assert shown == ["No module named 'tensorflow'"]
