"""The client: one service, one set of keys, one pool of connections; it opens readers and writers."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Iterable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Literal, NoReturn

import anyio
import pyarrow as pa

from aiopaiio import errors
from aiopaiio.arguments import positive_number, whole_number
from aiopaiio.commit import commit_once
from aiopaiio.config import load_config
from aiopaiio.embedded import EmbeddedService
from aiopaiio.http import Account, HttpClient
from aiopaiio.opening import Opening
from aiopaiio.read_planning import plan_read
from aiopaiio.reader import ReadOptions, TableRead, TableReader, WireForm
from aiopaiio.retry import RetryPolicy
from aiopaiio.service_api import ServiceApi
from aiopaiio.shared_upload import SharedUpload
from aiopaiio.slice_lock import SliceLock
from aiopaiio.statements import run_statement
from aiopaiio.table_path import TablePath, named_paths
from aiopaiio.tunnel import Tunnel
from aiopaiio.writer import BLOCK_BYTES, TableWriter, WriteOptions

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Client"]

MEMORY_LIMIT_BYTES = 256 << 20


class Client:
    """A MaxCompute service, to read tables from and to write them to.

    Without arguments the endpoint and the keys come from the file named by ``ODPS_CONFIG_FILE_PATH``, else from
    ``~/.odps_config.ini``, else from the environment; see :func:`aiopaiio.config.load_config`. The endpoint
    ``local:DIR`` runs the service for one machine inside this process.

    ``retry`` says how faults are outlived, ``memory_limit_bytes`` bounds what one reader holds (default 256 MiB),
    ``read_timeout_seconds`` how long the service may send nothing (default 60). ``account`` is any PyODPS account, for
    other ways to sign than with a key pair. Raises :class:`~aiopaiio.errors.ConfigError` when something is missing.

    A client belongs to one event loop. Close it with :meth:`aclose` or ``async with``.
    """

    def __init__(
        self,
        config_file: str | os.PathLike[str] | None = None,
        *,
        endpoint: str | None = None,
        access_id: str | None = None,
        access_key: str | None = None,
        security_token: str | None = None,
        tunnel_endpoint: str | None = None,
        project: str | None = None,
        region: str | None = None,
        quota_name: str | None = None,
        account: Account | None = None,
        retry: RetryPolicy | None = None,
        memory_limit_bytes: int = MEMORY_LIMIT_BYTES,
        read_timeout_seconds: float = 60.0,
    ) -> None:
        self._config = load_config(
            config_file,
            keys_needed=account is None,
            endpoint=endpoint,
            access_id=access_id,
            access_key=access_key,
            security_token=security_token,
            tunnel_endpoint=tunnel_endpoint,
            project=project,
            region=region,
            quota_name=quota_name,
        )
        whole_number("memory_limit_bytes", memory_limit_bytes, least=1)
        positive_number("read_timeout_seconds", read_timeout_seconds)
        self._account = account
        self._retry = retry or RetryPolicy()
        self._memory_limit_bytes = memory_limit_bytes
        self._read_timeout_seconds = read_timeout_seconds
        self._connecting = anyio.Lock()
        self._http: HttpClient | None = None
        self._tunnel: Tunnel | None = None
        self._embedded: EmbeddedService | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False

    def __repr__(self) -> str:
        return f"<aiopaiio.Client {self._config.endpoint}{', closed' if self._closed else ''}>"

    # -------------------------------------------------------------------------------------------------------- reading

    def open_reader(
        self,
        path: str | TablePath | TableRead,
        selected_cols: str | Iterable[str] | None = None,
        excluded_cols: str | Iterable[str] | None = None,
        slice_id: int = 0,
        slice_count: int = 1,
        *,
        concurrency: int = 0,
        capacity_rows: int = 0,
        wire_form: WireForm = "auto",
        wide_timestamps: bool | Literal["auto"] = False,
        compression: str | None = None,
        memory_limit_bytes: int | None = None,
    ) -> Opening[TableReader]:
        """Open a table, some of its partitions, or a slice of them, as they are now.

        ``path``: ``odps://PROJECT/tables/TABLE[/KEY=VALUE...][?start=A&end=B]``, several partitions joined by ``&``;
        or the :attr:`TableReader.description` of another reader, which shares its sessions, columns and slice.
        ``selected_cols`` / ``excluded_cols``: names, comma-separated or iterable; not both. ``slice_id`` of
        ``slice_count`` contiguous slices. ``concurrency``: downloads at once, 1 to 64 (0: as many as help, found while
        reading). ``capacity_rows``: rows held ahead at most (0: as many as the memory limit allows). ``compression``:
        deflate, zstd, lz4 or snappy on the wire. ``wide_timestamps``: TIMESTAMPs as ``struct<sec, nano>``, for years
        outside 1677 to 2262; ``"auto"`` gives that form only in batches that came in the record wire form.
        ``wire_form`` ``"auto"``: ``"arrow"``, but ``"record"`` where a column has no Arrow form or the service refuses
        that form.

        Use with ``async with`` or ``await``.
        """
        from aiopaiio.compression import encoding_of

        options = ReadOptions(
            concurrency=concurrency,
            capacity_rows=capacity_rows,
            wire_form=wire_form,
            wide_timestamps=wide_timestamps,
            encoding=encoding_of(compression),
            memory_limit_bytes=self._memory_limit_bytes if memory_limit_bytes is None else memory_limit_bytes,
        )

        async def open_it() -> TableReader:
            tunnel = await self._connect()
            read = (
                path
                if isinstance(path, TableRead)
                else await plan_read(tunnel, path, selected_cols, excluded_cols, slice_id, slice_count)
            )
            return TableReader(tunnel, read, options)

        return Opening(open_it)

    def read_tables(
        self,
        paths: str | TablePath | Iterable[str | TablePath],
        selected_cols: str | Iterable[str] | None = None,
        excluded_cols: str | Iterable[str] | None = None,
        *,
        tables_at_once: int = 8,
        memory_limit_bytes: int | None = None,
    ) -> AsyncGenerator[tuple[str, pa.RecordBatch], None]:
        """Read many tables or partitions concurrently; gives ``(path, batch)`` as they come, each table in row order.

        A path comes back as the text it was given as.

        At most ``tables_at_once`` are being read, and all together hold at most ``memory_limit_bytes``. The sessions of
        some more are made ahead: each table is read as it was a little before its turn. When the service's quota of new
        sessions (200 in five minutes) is used up, the rest waits for it. The first error stops everything and is raised
        after the batches that came before it. Who leaves the loop early closes the generator (``contextlib.aclosing``),
        so that the downloads stop at once.
        """
        from aiopaiio.tables import read_tables

        return read_tables(
            self,
            named_paths(paths),
            selected_cols,
            excluded_cols,
            tables_at_once=tables_at_once,
            memory_limit_bytes=self._memory_limit_bytes if memory_limit_bytes is None else memory_limit_bytes,
        )

    # -------------------------------------------------------------------------------------------------------- writing

    def open_writer(
        self,
        path: str | TablePath,
        slice_id: int = 0,
        *,
        overwrite: bool = False,
        create_partition: bool = True,
        concurrency: int = 0,
        wire_form: WireForm = "auto",
        compression: str | None = None,
        block_bytes: int = BLOCK_BYTES,
        upload: SharedUpload | None = None,
    ) -> Opening[TableWriter]:
        """Open a table, or one partition of it, for appending rows; they become visible when the writer is closed.

        ``slice_id`` tells writers apart: two that write the same slice of the same table or partition at the same
        time fail (:class:`~aiopaiio.errors.SliceConflictError`); within one host this is always seen, between hosts
        only in a shared ``upload``. ``overwrite`` replaces what the table or partition held. ``upload`` writes one
        slice of a session made by :meth:`create_upload`, which is committed by :meth:`commit_upload`. ``wire_form``
        ``"auto"``: ``"arrow"``, but ``"record"`` where a column has no Arrow form or the service refuses that form.

        Use with ``async with`` or ``await``.
        """
        from aiopaiio.compression import encoding_of

        table = _one_partition(path)
        slice_id = whole_number("slice_id", slice_id, least=0, error=errors.SliceError)
        options = WriteOptions(concurrency, wire_form, encoding_of(compression), block_bytes)
        if upload is not None:
            upload.block_ids(slice_id)
            if overwrite or upload.session.table != table:
                raise errors.UsageError(
                    f"this shared upload is for {upload.session.table}; path and overwrite are decided by create_upload"
                )

        async def open_it() -> TableWriter:
            tunnel = await self._connect()
            scope = ("upload", upload.session.id) if upload else ("table", self._identity, str(table))
            lock = SliceLock(*scope, slice_id=slice_id)
            lock.acquire()
            try:
                session = (
                    upload.session
                    if upload
                    else await tunnel.create_upload(table, overwrite=overwrite, create_partition=create_partition)
                )
                writer = TableWriter(tunnel, session, options, slice_id=slice_id, lock=lock, shared=upload)
            except BaseException:
                lock.release()
                raise
            if upload is not None:
                try:
                    await writer.claim_slice(upload)
                except BaseException:
                    await writer.abort()
                    raise
            return writer

        return Opening(open_it)

    async def create_upload(
        self, path: str | TablePath, slice_count: int, *, overwrite: bool = False, create_partition: bool = True
    ) -> SharedUpload:
        """Make an upload session for ``slice_count`` writers (1 to 1000), in any processes or hosts: it pickles."""
        table = _one_partition(path)
        tunnel = await self._connect()
        session = await tunnel.create_upload(table, overwrite=overwrite, create_partition=create_partition)
        return SharedUpload(session, slice_count)

    async def commit_upload(self, upload: SharedUpload) -> None:
        """Make the rows of all slices visible, all at once.

        Raises :class:`~aiopaiio.errors.CommitError` until every slice is closed.
        """
        tunnel = await self._connect()
        listed = await tunnel.reload_upload(upload.session)
        if listed.status != "closed":
            upload.check_complete(listed.blocks)
            await commit_once(tunnel, upload.session)

    # ------------------------------------------------------------------------------------------------------------ SQL

    async def execute_sql(
        self,
        statement: str,
        project: str | None = None,
        schema: str | None = None,
        *,
        settings: Mapping[str, str] | None = None,
    ) -> str:
        """Run one SQL statement (``CREATE TABLE``, for example) to its end and return its result text.

        ``settings`` are MaxCompute's flags for it, such as ``{"odps.sql.decimal.odps2": "true"}``; the one for the
        types of MaxCompute 2.0 (``odps.sql.type.system.odps2``) is on unless set otherwise. The statement is sent
        once: when its answer is lost, a :class:`~aiopaiio.errors.TransportError` says so, and it may have run.
        """
        project = project or self._config.project
        if not project:
            raise errors.ConfigError("no project: name one, or put project_name into the configuration")
        tunnel = await self._connect()
        return await run_statement(tunnel.service, project, schema, statement, settings or {})

    # -------------------------------------------------------------------------------------------------------- closing

    async def aclose(self) -> None:
        """Close all connections, and the embedded service if there is one. Harmless a second time."""
        self._closed = True
        if self._http is not None:
            await self._http.aclose()
        embedded, self._embedded = self._embedded, None
        if embedded is not None:
            await embedded.stop()

    def __reduce__(self) -> NoReturn:
        raise errors.UsageError("a client holds keys and does not pickle; make one in the other process")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    # ------------------------------------------------------------------------------------------------------ machinery

    @property
    def _identity(self) -> str:
        """What tells this service from others."""
        root = self._config.local_root
        return os.path.realpath(os.path.expanduser(root)) if root is not None else self._config.endpoint

    async def _connect(self) -> Tunnel:
        if self._closed:
            raise errors.ClosedError("this client is closed; make a new one")
        self._loop = self._loop or asyncio.get_running_loop()
        if self._loop is not asyncio.get_running_loop():
            raise errors.UsageError("this client was used in another event loop; make one client for each loop")
        async with self._connecting:
            if self._tunnel is None:
                config = self._config
                if config.local_root is not None:
                    embedded = EmbeddedService(config.local_root)
                    config = await embedded.start(config)
                    self._embedded = embedded
                self._http = HttpClient(config, account=self._account, read_timeout_seconds=self._read_timeout_seconds)
                self._tunnel = Tunnel(ServiceApi(self._http, config, self._retry))
            return self._tunnel


def _one_partition(path: str | TablePath) -> TablePath:
    table = path if isinstance(path, TablePath) else TablePath.parse(path)
    if len(table.partitions) > 1 or table.rows is not None:
        raise errors.TablePathError(f"{table}: a writer takes one table or partition, and no row range")
    return table
