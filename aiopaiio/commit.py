"""Making an upload visible, exactly once, even when the answer that says so is lost."""

from __future__ import annotations

import logging
from collections.abc import Mapping

import anyio

from aiopaiio.errors import CommitError, Error, SessionConflict, SessionExpired
from aiopaiio.sessions import UploadSession
from aiopaiio.tunnel import Tunnel

__all__ = ["check_blocks", "commit_once"]

logger = logging.getLogger(__name__)

_POLL_SECONDS = 0.2


def check_blocks(session: UploadSession, listed: Mapping[int, int], sent: Mapping[int, int]) -> None:
    """Raise :class:`~aiopaiio.errors.CommitError` unless the service holds exactly the blocks sent, row for row.

    ``listed`` and ``sent`` map block ids to numbers of rows; a service that gives no number says -1.
    """
    if listed.keys() != sent.keys():
        missing, foreign = sorted(sent.keys() - listed.keys()), sorted(listed.keys() - sent.keys())
        raise CommitError(
            f"nothing was committed: the service lacks blocks {missing} that were sent, "
            f"and holds blocks {foreign} that were not",
            table=session.table.name,
            session=session.id,
        )
    wrong = sorted(block for block, rows in listed.items() if rows not in (-1, sent[block]))
    if wrong:
        raise CommitError(
            f"nothing was committed: blocks {wrong} hold another number of rows than was sent",
            table=session.table.name,
            session=session.id,
        )


async def commit_once(tunnel: Tunnel, session: UploadSession) -> None:
    """Commit; when an answer is lost, ask for the session's state in place of committing again blindly."""
    in_doubt = False

    async def attempt() -> None:
        nonlocal in_doubt
        state = session
        try:
            state = await tunnel.commit_upload(session)
        except Error as error:
            if not (error.retryable or isinstance(error, (SessionConflict, SessionExpired))):
                raise
            in_doubt = in_doubt or error.retryable
            logger.warning("commit of %s: asking for the session's state after: %s", session.table.name, error)
            state = await tunnel.reload_upload(session)
            if state.status == "normal":
                raise  # the commit has not begun: the policy tries it again
        while state.status == "closing":
            await anyio.sleep(_POLL_SECONDS)
            state = await tunnel.reload_upload(session)
        if state.status != "closed":
            raise CommitError(
                f"the upload session is {state.status!r} after the commit; look at the table before writing again",
                table=session.table.name,
                session=session.id,
            )

    try:
        async for trial in tunnel.retry.retrying(logger, lambda: f"commit of {session.table.name}"):
            with trial:
                await attempt()
    except Error as error:
        if isinstance(error, CommitError) or not (error.retryable or in_doubt):
            raise
        raise CommitError(
            f"whether the upload was committed is not known ({error.message}); look at the table before writing again",
            table=session.table.name,
            session=session.id,
            request_id=error.request_id,
        ) from error
