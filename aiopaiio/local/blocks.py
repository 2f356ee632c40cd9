"""One uploaded block: the body's bytes to batches in the store. Blocking; fed from a worker thread."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import pyarrow as pa

from aiopaiio.arrow_stream import ArrowStreamDecoder
from aiopaiio.compression import decompressor
from aiopaiio.errors import DataError
from aiopaiio.local.answers import Refused
from aiopaiio.local.limits import Limits
from aiopaiio.local.storage import BlockWriter, Store, Upload
from aiopaiio.record_decoder import RecordStreamDecoder
from aiopaiio.schema import arrow_schema

__all__ = ["BlockReceiver"]


class BlockReceiver:
    """Decompresses, verifies and stores a block's body. Nothing of it is kept unless :meth:`commit` succeeds.

    Rows are stored as they come in. One call runs at a time: an abort waits for what a worker thread is still doing for
    a request that is gone.
    """

    def __init__(
        self, store: Store, upload: Upload, block_id: int, limits: Limits, *, arrow: bool, encoding: str
    ) -> None:
        self._store = store
        self._upload = upload
        self._block_id = block_id
        self._max_field_bytes = limits.field_bytes
        self._decompressor = None
        if encoding != "identity":
            self._decompressor = decompressor(encoding, max_output_bytes=limits.block_bytes)
        columns = upload.schema.columns
        self._decoder: ArrowStreamDecoder | RecordStreamDecoder
        if arrow:
            self._decoder = ArrowStreamDecoder(arrow_schema(columns), max_message_bytes=limits.message_bytes)
        else:
            self._decoder = RecordStreamDecoder(columns, wide_timestamps=True, max_record_bytes=limits.message_bytes)
        self._writer: BlockWriter | None = None
        self._ended = False
        self._lock = threading.Lock()

    def feed(self, pieces: Iterable[bytes]) -> None:
        """Take more of the body. Raises :class:`Refused` (MalformedDataStream) when it is not what it should be."""
        with self._lock, _data_errors_refused():
            for piece in self._plain(pieces):
                self._write(self._decoder.feed(piece))

    def commit(self) -> None:
        """The body is complete: verify what closes it, and make the block part of the session."""
        with self._lock, _data_errors_refused():
            if self._decompressor is not None:
                self._decompressor.finish()
            self._write(self._decoder.finish())
            self._open_writer().commit()
            self._ended = True

    def abort(self) -> None:
        """Forget the block, unless it is committed."""
        with self._lock:
            if self._writer is not None and not self._ended:
                self._writer.abort()
            self._ended = True

    def _write(self, batches: Iterable[pa.RecordBatch]) -> None:
        for batch in batches:
            self._open_writer().write(batch)

    def _open_writer(self) -> BlockWriter:
        if self._ended:
            raise Refused("StatusConflict", "The block was given up.")
        if self._writer is None:
            self._writer = self._store.open_block(
                self._upload.id, self._block_id, max_field_bytes=self._max_field_bytes
            )
        return self._writer

    def _plain(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        for piece in pieces:
            if self._decompressor is None:
                yield piece
            else:
                yield from self._decompressor.decompress(piece)


@contextmanager
def _data_errors_refused() -> Iterator[None]:
    try:
        yield
    except DataError as error:
        message = f"The data stream you provided was not well-formed: {error.message}"
        raise Refused("MalformedDataStream", message) from error
