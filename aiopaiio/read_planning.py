"""From a path and wishes to a planned read: sessions made, columns chosen, rows counted."""

from __future__ import annotations

from collections.abc import Iterable

import anyio

from aiopaiio import errors
from aiopaiio.columns import check_column_lists, parse_column_names, plan_columns
from aiopaiio.reader import TableRead
from aiopaiio.sessions import DownloadSession
from aiopaiio.slicing import RowRange, slice_rows
from aiopaiio.table_path import TablePath
from aiopaiio.tunnel import Tunnel

__all__ = ["SESSIONS_AT_ONCE", "plan_read"]

SESSIONS_AT_ONCE = 32
"""Sessions asked for at the same time: at 50 ms of latency the 200 that five minutes allow are there in 0.4 s."""


async def plan_read(
    tunnel: Tunnel,
    path: str | TablePath,
    selected_cols: str | Iterable[str] | None,
    excluded_cols: str | Iterable[str] | None,
    slice_id: int,
    slice_count: int,
) -> TableRead:
    """Make a session for each partition of ``path``, choose columns and rows; see ``Client.open_reader``."""
    table = path if isinstance(path, TablePath) else TablePath.parse(path)
    selected, excluded = parse_column_names(selected_cols), parse_column_names(excluded_cols)
    # What is wrong whatever the table holds costs no session.
    check_column_lists(selected, excluded)
    slice_rows(RowRange(0, 0), slice_id, slice_count)
    sessions = await _create_sessions(tunnel, table)
    try:
        plan = plan_columns(sessions[0].schema, selected, excluded)
    except errors.ColumnError as error:
        error.with_context(table=table.name, session=sessions[0].id, request_id=sessions[0].request_id)
        raise
    total = RowRange(0, sum(session.row_count for session in sessions))
    rows = total if table.rows is None else table.rows
    if rows.stop > total.stop:
        raise errors.SliceError(f"{table}: the row range {rows} goes beyond the end, there are {total.stop} rows")
    return TableRead(table, plan, slice_rows(rows, slice_id, slice_count), sessions)


async def _create_sessions(tunnel: Tunnel, table: TablePath) -> tuple[DownloadSession, ...]:
    parts = [table.with_partition(spec) for spec in table.partitions] or [table.with_partition(None)]
    sessions: list[DownloadSession | None] = [None] * len(parts)
    limiter = anyio.CapacityLimiter(SESSIONS_AT_ONCE)
    failures: list[Exception] = []

    async def create(index: int) -> None:
        try:
            async with limiter:
                sessions[index] = await tunnel.create_download(parts[index])
        except Exception as error:
            failures.append(error)
            group.cancel_scope.cancel()

    async with anyio.create_task_group() as group:
        for index in range(len(parts)):
            group.start_soon(create, index)
    if failures:
        raise failures[0]
    created = tuple(session for session in sessions if session is not None)
    if len({session.schema for session in created}) > 1:
        raise errors.SchemaMismatchError(f"{table}: the partitions have different schemas; read them one by one")
    return created
