"""Download and upload sessions as values, and how they are read from the Tunnel's answers. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any

from aiopaiio import errors
from aiopaiio.schema import TableSchema
from aiopaiio.table_path import PartitionSpec, TablePath

__all__ = ["DownloadSession", "UploadSession", "UploadedBlock", "download_session", "upload_session"]


@dataclass(frozen=True, slots=True)
class DownloadSession:
    """An immutable snapshot of a table or partition on the service.

    A value: it pickles, and any process may read from it.
    """

    table: TablePath
    id: str
    row_count: int
    schema: TableSchema
    created_seconds: float | None
    """The service's clock when the session was made, seconds since the epoch; None when it does not say."""
    request_id: str | None = field(default=None, compare=False)
    """The request that made the session, for messages about the table as a whole."""

    @property
    def partition(self) -> PartitionSpec | None:
        """The partition read, or None for an unpartitioned table."""
        return self.table.partitions[0] if self.table.partitions else None


@dataclass(frozen=True, slots=True)
class UploadedBlock:
    """A block of rows that the service holds for an upload session."""

    id: int
    row_count: int


@dataclass(frozen=True, slots=True)
class UploadSession:
    """A set of blocks that becomes visible by one commit. A value, as a download session is."""

    table: TablePath
    id: str
    schema: TableSchema
    status: str
    blocks: tuple[UploadedBlock, ...] = ()

    @property
    def partition(self) -> PartitionSpec | None:
        """The partition written, or None for an unpartitioned table."""
        return self.table.partitions[0] if self.table.partitions else None


def download_session(table: TablePath, answer: dict[str, Any], request_id: str | None) -> tuple[DownloadSession, str]:
    """The session that a JSON answer describes, and its status in lower case; while ``initiating`` it has no rows yet.

    Raises :class:`~aiopaiio.errors.SessionExpired`, and :class:`~aiopaiio.errors.MalformedStreamError` when it
    describes none.
    """
    status = str(answer.get("Status", "normal")).lower()
    try:
        initiating = status == "initiating"
        session = DownloadSession(
            table=table,
            id=str(answer["DownloadID"]),
            row_count=int(answer.get("RecordCount", 0) if initiating else answer["RecordCount"]),
            schema=TableSchema((), ()) if initiating else TableSchema.from_tunnel_json(answer["Schema"]),
            created_seconds=_parse_date(answer.get("Initiated")),
            request_id=request_id,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise errors.MalformedStreamError(
            f"the service's description of a download session is not usable: {error!r}", table=table.name
        ) from error
    if status == "expired":
        raise errors.SessionExpired("the download session has expired", code="NoSuchDownload", session=session.id)
    return session, status


def upload_session(table: TablePath, answer: dict[str, Any]) -> UploadSession:
    """The session that a JSON answer describes, else :class:`~aiopaiio.errors.MalformedStreamError`."""
    try:
        return UploadSession(
            table=table,
            id=str(answer["UploadID"]),
            schema=TableSchema.from_tunnel_json(answer["Schema"]) if "Schema" in answer else TableSchema((), ()),
            status=str(answer.get("Status", "normal")).lower(),
            blocks=tuple(
                UploadedBlock(int(block["BlockID"]), int(block.get("RecordCount", -1)))
                for block in answer.get("UploadedBlockList") or ()
            ),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise errors.MalformedStreamError(
            f"the service's description of an upload session is not usable: {error!r}", table=table.name
        ) from error


def _parse_date(text: object) -> float | None:
    try:
        return parsedate_to_datetime(str(text)).timestamp()
    except (ValueError, TypeError):
        return None
