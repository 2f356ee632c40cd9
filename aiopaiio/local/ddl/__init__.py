"""SQL for defining tables and for plain reads, run on a :class:`~aiopaiio.local.storage.Store`.

Statements are parsed by sqlglot. What a warehouse's SQL engine would compute is out of reach here, and says so.
"""

from __future__ import annotations

from aiopaiio.local.ddl.execution import execute
from aiopaiio.local.ddl.statement import Message, ResultSet

__all__ = ["Message", "ResultSet", "execute"]
