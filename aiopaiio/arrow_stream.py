"""The Arrow wire form: a body in pieces -> ``pyarrow.RecordBatch``, and the reverse. No I/O.

The payload inside the frames (:mod:`aiopaiio.frames`) is a run of Arrow IPC record batch messages and nothing else: the
schema is known from the session, dictionaries are not used. Both ways to announce a message's length are read, buffer
compression inside a message and end-of-stream marks are accepted.

Every byte is copied once, from the verified frame to the memory that the batch keeps.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from aiopaiio.batch_pool import BATCH_POOL
from aiopaiio.errors import MalformedStreamError, SchemaMismatchError, TruncatedStreamError
from aiopaiio.frames import FRAME_BYTES, FrameDecoder, FrameEncoder

__all__ = ["MAX_MESSAGE_BYTES", "ArrowStreamDecoder", "ArrowStreamEncoder"]

MAX_MESSAGE_BYTES = 1 << 30
"""Default bound of one message: as it is on the wire, and again after decompression of its buffers."""

_CONTINUATION = 0xFFFFFFFF
_RECORD_BATCH = 3  # member of the flatbuffer union MessageHeader
_HEADER_NAMES = {1: "schema", 2: "dictionary batch", 3: "record batch", 4: "tensor", 5: "sparse tensor"}


class ArrowStreamDecoder:
    """Decodes one body.

    ``schema`` gives the columns that were asked for, in the order they come. ``max_message_bytes`` bounds one message.
    ``check_values`` also checks every offset and value of a batch against its buffers: wanted where the bytes come from
    someone who may be hostile, since Arrow itself trusts them.

    :meth:`feed` and :meth:`finish` return batches in order, all of whose bytes have been verified.
    """

    def __init__(
        self,
        schema: pa.Schema,
        *,
        max_message_bytes: int = MAX_MESSAGE_BYTES,
        check_values: bool = False,
    ) -> None:
        self._schema = schema
        self._checked_schema = _without_text(schema) if check_values else None
        self._max_message_bytes = max_message_bytes
        self._frames = FrameDecoder()
        self._head = bytearray()  # length and metadata of the next message, until all of it is here
        self._head_bytes = 4  # how long that is, as far as is known yet
        self._message: pa.Buffer | None = None
        self._room = memoryview(b"")  # the part of the message's memory still to be filled
        self._next: tuple[int, int] | None = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: next message {self._next}, {len(self._room)} bytes missing, {self._frames!r}>"

    @property
    def next_message(self) -> tuple[int, int] | None:
        """Rows and body bytes of the message being received; None between messages and before its metadata came."""
        return self._next

    def feed(self, piece: bytes | bytearray | memoryview) -> list[pa.RecordBatch]:
        """Take the next piece of the body; return the batches that became complete.

        Raises a :class:`aiopaiio.errors.DataError`; the decoder is then of no further use.
        """
        batches: list[pa.RecordBatch] = []
        for payload in self._frames.feed(piece):
            self._take(payload, batches)
        return batches

    def finish(self) -> list[pa.RecordBatch]:
        """The body has ended: check that it is whole and return its last batches.

        Raises :class:`TruncatedStreamError` or :class:`ChecksumError` when it is not.
        """
        batches: list[pa.RecordBatch] = []
        self._take(self._frames.finish(), batches)
        if self._head or self._message is not None:
            raise TruncatedStreamError("the body ended inside a record batch")
        return batches

    def _take(self, payload: memoryview, batches: list[pa.RecordBatch]) -> None:
        while payload:
            if self._message is None:
                part = payload[: self._head_bytes - len(self._head)]
                self._head += part
                if len(self._head) == self._head_bytes:
                    self._open_message()
            else:
                part = payload[: len(self._room)]
                self._room[: len(part)] = part
                self._room = self._room[len(part) :]
            payload = payload[len(part) :]
            if self._message is not None and not self._room:
                batches.append(self._read_batch(self._message))
                self._message = self._next = None

    def _open_message(self) -> None:
        """As much of the head is here as was known to be needed: ask for more of it, or make room for the message."""
        head = bytes(self._head)
        prefix, metadata_bytes = _lengths(head)
        if len(head) < prefix + metadata_bytes:
            self._head_bytes = self._bounded(prefix + metadata_bytes)
            return
        self._head.clear()
        self._head_bytes = 4
        if not metadata_bytes:  # an end-of-stream mark
            return
        header = _message_header(memoryview(head)[prefix:])
        self._message = pa.allocate_buffer(self._bounded(len(head) + header.body_bytes), BATCH_POOL)
        self._next = (header.rows, header.body_bytes)
        self._room = memoryview(self._message).cast("B")
        self._room[: len(head)] = head
        self._room = self._room[len(head) :]

    def _bounded(self, message_bytes: int) -> int:
        if message_bytes > self._max_message_bytes:
            raise MalformedStreamError(
                f"a record batch of {message_bytes} bytes; at most {self._max_message_bytes} are accepted"
            )
        return message_bytes

    def _read_batch(self, message: pa.Buffer) -> pa.RecordBatch:
        _check_decompressed_size(memoryview(message).cast("B"), self._max_message_bytes)
        try:
            if self._checked_schema is not None:
                pa.ipc.read_record_batch(message, self._checked_schema).validate(full=True)
            batch = pa.ipc.read_record_batch(message, self._schema)
            batch.validate()
        except (pa.ArrowException, OSError, ValueError) as error:
            raise MalformedStreamError(f"a record batch that does not fit the table's columns: {error}") from error
        return batch


class ArrowStreamEncoder:
    """Encodes one body from batches of ``schema``, in frames of ``chunk_bytes``.

    What :meth:`encode` and :meth:`finish` return is to be sent in order; views of the batch's memory are among it.
    """

    def __init__(self, schema: pa.Schema, *, chunk_bytes: int = FRAME_BYTES) -> None:
        self._schema = schema
        self._frames = FrameEncoder(chunk_bytes)

    def encode(self, batch: pa.RecordBatch) -> list[bytes | memoryview]:
        """Encode one batch; raises :class:`SchemaMismatchError` when its columns are not those of the schema."""
        if not batch.schema.equals(self._schema) and (
            # Slower, but without the fields' nullability.
            batch.schema.types != self._schema.types or batch.schema.names != self._schema.names
        ):
            raise SchemaMismatchError(f"a batch of {_columns(batch.schema)} where {_columns(self._schema)} is due")
        return self._frames.encode(memoryview(batch.serialize()))

    def finish(self) -> bytes:
        """The end of the body."""
        return self._frames.finish()


def _columns(schema: pa.Schema) -> str:
    return "(" + ", ".join(f"{field.name} {field.type}" for field in schema) + ")"


# ------------------------------------------------------------------------------------------------- message metadata


@dataclass(frozen=True, slots=True)
class _MessageHeader:
    rows: int
    body_bytes: int
    buffers: tuple[int, int]  # position in the metadata, and count, of the record batch's (offset, length) pairs
    compressed: bool


def _lengths(head: bytes | memoryview) -> tuple[int, int]:
    """Bytes before the metadata, and of the metadata, from the first 4 or 8 bytes of a message.

    The older way is only the length; the newer one puts four bytes of ones before it. With those alone at hand the
    answer is that there is no metadata yet.
    """
    (length,) = struct.unpack_from("<I", head)
    if length != _CONTINUATION:
        return 4, int(length)
    return 8, int(struct.unpack_from("<I", head, 4)[0]) if len(head) >= 8 else 0


def _message_header(metadata: memoryview) -> _MessageHeader:
    """Read what is needed of a flatbuffer ``Message``, by hand: PyArrow reads messages only once they are complete.

    Table fields by number: Message: 1 kind of header, 2 header, 3 body length; RecordBatch: 0 rows, 2 buffers,
    3 compression.
    """
    try:
        message = _offset(metadata, 0)
        kind_at = _field(metadata, message, 1)
        kind = metadata[kind_at] if kind_at else 0
        if kind != _RECORD_BATCH:
            raise MalformedStreamError(f"a {_HEADER_NAMES.get(kind, 'strange')} message instead of a record batch")
        batch = _offset(metadata, _field(metadata, message, 2))
        rows = _int64(metadata, _field(metadata, batch, 0))
        body_bytes = _int64(metadata, _field(metadata, message, 3))
        buffers_at = _field(metadata, batch, 2)
        buffers = (0, 0)
        if buffers_at:
            vector = _offset(metadata, buffers_at)
            buffers = (vector + 4, _uint32(metadata, vector))
        compressed = bool(_field(metadata, batch, 3))
    except (struct.error, IndexError) as error:
        raise MalformedStreamError(f"message metadata that leads nowhere: {error}") from error
    if rows < 0 or body_bytes < 0 or buffers[0] + 16 * buffers[1] > len(metadata):
        raise MalformedStreamError(f"message metadata of {rows} rows in {body_bytes} bytes, {buffers[1]} buffers")
    return _MessageHeader(rows, body_bytes, buffers, compressed)


def _uint32(metadata: memoryview, position: int) -> int:
    return int(struct.unpack_from("<I", metadata, position)[0])


def _int64(metadata: memoryview, position: int) -> int:
    """The number at ``position``; an absent field (position 0) is 0."""
    return int(struct.unpack_from("<q", metadata, position)[0]) if position else 0


def _offset(metadata: memoryview, position: int) -> int:
    """Follow the reference at ``position``."""
    return position + _uint32(metadata, position)


def _field(metadata: memoryview, table: int, number: int) -> int:
    """Position of a table's field, or 0 when it is absent."""
    fields = table - int(struct.unpack_from("<i", metadata, table)[0])
    if fields < 0:
        raise IndexError(fields)
    slot = 4 + 2 * number
    if slot + 2 > struct.unpack_from("<H", metadata, fields)[0]:
        return 0
    within = int(struct.unpack_from("<H", metadata, fields + slot)[0])
    return table + within if within else 0


def _check_decompressed_size(message: memoryview, max_bytes: int) -> None:
    """Each compressed buffer begins with its size once decompressed; refuse a sum that exceeds ``max_bytes``."""
    prefix, metadata_bytes = _lengths(message[:8])
    body_at = prefix + metadata_bytes
    metadata = message[prefix:body_at]
    header = _message_header(metadata)
    if not header.compressed:
        return
    at, count = header.buffers
    decompressed = 0
    for offset, length in np.frombuffer(metadata, "<i8", 2 * count, at).reshape(-1, 2).tolist():
        if not 0 <= offset <= offset + length <= header.body_bytes or 0 < length < 8:
            raise MalformedStreamError(f"a buffer of {length} bytes at {offset} in a body of {header.body_bytes}")
        if length:
            size = _int64(message, body_at + offset)
            decompressed += length if size == -1 else max(size, 0)  # -1: left as it is
    if decompressed > max_bytes:
        raise MalformedStreamError(f"a record batch of {decompressed} bytes; at most {max_bytes} are accepted")


def _without_text(schema: pa.Schema) -> pa.Schema:
    """The schema with text as plain bytes: MaxCompute's strings need not be UTF-8, which a full check would demand."""
    return pa.schema([pa.field(field.name, _type_without_text(field.type)) for field in schema])


def _type_without_text(arrow_type: pa.DataType) -> pa.DataType:
    if pa.types.is_string(arrow_type):
        return pa.binary()
    if pa.types.is_map(arrow_type):
        return pa.map_(_type_without_text(arrow_type.key_type), _type_without_text(arrow_type.item_type))
    if pa.types.is_list(arrow_type):
        return pa.list_(_type_without_text(arrow_type.value_type))
    if pa.types.is_struct(arrow_type):
        children = [arrow_type.field(number) for number in range(arrow_type.num_fields)]
        return pa.struct([pa.field(child.name, _type_without_text(child.type)) for child in children])
    return arrow_type
