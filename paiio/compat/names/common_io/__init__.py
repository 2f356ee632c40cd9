"""The interface of paiio under the names of ``common_io``: see ``paiio.compat``."""

from common_io import exception, table  # type: ignore[import-not-found]  # on no path that mypy knows

__all__ = ["exception", "table"]
