"""Imported by every Python that has this folder on ``PYTHONPATH``, when it starts. Must be harmless in all of them."""

import contextlib
import sys

with contextlib.suppress(ImportError):  # in another Python, without paiio, that a program starts
    import paiio.compat  # noqa: F401 - importing it is all

# The sitecustomize that this one has hidden, if there is one.
_own, _paths = sys.modules.pop(__name__), sys.path[:]
_folder = __file__.replace("\\", "/").rpartition("/")[0]
sys.path[:] = [path for path in sys.path if path.replace("\\", "/").rstrip("/") != _folder]
try:
    import sitecustomize  # type: ignore[import-not-found]  # noqa: F401 - there may be none
except ImportError as error:
    if error.name != __name__:
        raise
    sys.modules[__name__] = _own
finally:
    sys.path[:] = _paths
