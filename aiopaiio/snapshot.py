"""A download session that outlives itself: replaced when it expires, as long as that cannot change what is read."""

from __future__ import annotations

import logging

import anyio

from aiopaiio import errors
from aiopaiio.sessions import DownloadSession
from aiopaiio.tunnel import Tunnel

__all__ = ["Snapshot"]

logger = logging.getLogger(__name__)


class Snapshot:
    """The rows of one table or partition as they were when the session was made."""

    def __init__(self, tunnel: Tunnel, session: DownloadSession) -> None:
        self._tunnel = tunnel
        self._renewing = anyio.Lock()
        self.session = session

    async def renew(self, expired: DownloadSession) -> None:
        """Replace ``expired`` by a new session, once for all who ask.

        Raises :class:`~aiopaiio.errors.TableModified` unless the table provably holds the same rows as before: same
        schema, same number of rows, and last modified before the second in which the expired session was made (by the
        service's clock, which tells whole seconds: a change within that second cannot be told from one before it).
        """
        async with self._renewing:
            if self.session is not expired:
                return
            fresh = await self._tunnel.create_download(expired.table)
            if (fresh.row_count, fresh.schema) != (expired.row_count, expired.schema):
                raise self._modified(expired, f"it has {fresh.row_count} rows now, and had {expired.row_count}")
            modified = await self._tunnel.service.last_modified_seconds(expired.table)
            if expired.created_seconds is None or modified >= int(expired.created_seconds):
                raise self._modified(expired, "it was modified since, or in the very second the session was made")
            logger.warning(
                "download session %s of %s expired; the table is unchanged, going on with session %s",
                expired.id,
                expired.table.name,
                fresh.id,
            )
            self.session = fresh

    @staticmethod
    def _modified(expired: DownloadSession, why: str) -> errors.TableModified:
        return errors.TableModified(
            f"the download session expired and the table is not the same any more: {why}; open a new reader",
            code="TableModified",
            table=expired.table.name,
            partition=str(expired.partition) if expired.partition else None,
            session=expired.id,
        )
