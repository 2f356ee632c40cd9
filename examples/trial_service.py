"""A service for trying the examples: inside this process, in a folder that is gone at the end.

A program of yours needs none of this: it finds your service by ODPS_CONFIG_FILE_PATH, as the examples do when they are
given a table.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PROJECT = "demo"


@contextmanager
def trial_service() -> Iterator[None]:
    """Point ODPS_CONFIG_FILE_PATH at an empty warehouse, for as long as the context is open."""
    before = os.environ.get("ODPS_CONFIG_FILE_PATH")
    with tempfile.TemporaryDirectory(prefix="aiopaiio-example-") as folder:
        config = Path(folder) / "odps_config.ini"
        # No address and no keys: the service runs where it is used, first by whoever asks it something.
        config.write_text(f"end_point=local:{folder}/warehouse\nproject_name={PROJECT}\n", encoding="utf-8")
        os.environ["ODPS_CONFIG_FILE_PATH"] = str(config)
        try:
            yield
        finally:
            if before is None:
                del os.environ["ODPS_CONFIG_FILE_PATH"]
            else:
                os.environ["ODPS_CONFIG_FILE_PATH"] = before
