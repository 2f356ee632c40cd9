"""What the store says about its contents: frozen values, no behaviour. Times are Unix seconds, sizes bytes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from aiopaiio.local.storage.refusal import StoreError
from aiopaiio.schema import TableSchema

__all__ = ["DEFAULT_SCHEMA", "Block", "Download", "Partition", "Table", "TableName", "Upload"]

DEFAULT_SCHEMA = "default"
# Names are keys in the metadata only, never paths; the rule keeps them usable in URLs and SQL.
_NAME = re.compile(r"\w[\w-]{0,127}\Z")


def check_name(kind: str, name: str) -> str:
    """The name in lower case; raises StoreError ``InvalidArgument`` when it cannot name a project, schema or table."""
    if not _NAME.match(name):
        raise StoreError(
            "InvalidArgument",
            f"{name[:140]!r} cannot name a {kind}: a name has 1 to 128 letters, digits, '_' or '-', the first not '-'",
        )
    return name.lower()


@dataclass(frozen=True, slots=True)
class TableName:
    """A table's full name, case-insensitive: it is held in lower case. ``schema`` None means ``default``."""

    project: str
    schema: str | None
    table: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "project", check_name("project", self.project))
        object.__setattr__(self, "schema", check_name("schema", self.schema or DEFAULT_SCHEMA))
        object.__setattr__(self, "table", check_name("table", self.table))

    def __str__(self) -> str:
        middle = "" if self.schema == DEFAULT_SCHEMA else f"{self.schema}."
        return f"{self.project}.{middle}{self.table}"


@dataclass(frozen=True, slots=True)
class Table:
    """A table as of now.

    ``lifecycle`` is days, -1 none; ``modified`` is the rows' time, ``ddl_modified`` the definition's.
    """

    name: TableName
    id: str
    schema: TableSchema
    owner: str
    comment: str
    lifecycle: int
    properties: Mapping[str, str]
    created: float
    modified: float
    ddl_modified: float
    size: int
    row_count: int


@dataclass(frozen=True, slots=True)
class Partition:
    """One partition. ``values`` has (column, value) for every partition column, in the table's order."""

    values: tuple[tuple[str, str], ...]
    created: float
    modified: float
    ddl_modified: float
    size: int
    row_count: int

    @property
    def spec(self) -> str:
        """The form of the Tunnel protocol: ``ds=20240101,hh=01``."""
        return ",".join(f"{name}={value}" for name, value in self.values)

    @property
    def quoted_spec(self) -> str:
        """The form of the service API: ``ds='20240101',hh='01'``."""
        return ",".join(f"{name}='{value}'" for name, value in self.values)


@dataclass(frozen=True, slots=True)
class Download:
    """A download session: an immutable snapshot of ``row_count`` rows of ``schema.columns``.

    ``partition`` is the spec of the single partition it reads, "" for an unpartitioned table or a scan.
    """

    id: str
    name: TableName
    partition: str
    schema: TableSchema
    row_count: int
    created: float
    expires: float


@dataclass(frozen=True, slots=True)
class Block:
    """A completed block of an upload session."""

    block_id: int
    row_count: int
    size: int
    created: float


@dataclass(frozen=True, slots=True)
class Upload:
    """An upload session. ``status`` is ``normal``, ``closed`` or ``canceled``; ``blocks`` ascend by id."""

    id: str
    name: TableName
    partition: str
    schema: TableSchema
    overwrite: bool
    status: str
    created: float
    expires: float
    blocks: tuple[Block, ...] = field(default=())
