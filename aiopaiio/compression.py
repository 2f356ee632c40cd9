"""Compressed bodies: one stream around the whole body, under the names the Tunnel uses in its headers. No I/O.

Decompression goes in bounded steps and against a total, so that a small body cannot ask for much memory.
"""

from __future__ import annotations

import sys
import zlib
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import lz4.frame
import snappy

from aiopaiio.errors import DecompressionError, TruncatedStreamError, UsageError

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

__all__ = ["ENCODINGS", "STEP_BYTES", "Compressor", "Decompressor", "compressor", "decompressor", "encoding_of"]

ENCODINGS = ("identity", "deflate", "zstd", "x-snappy-framed", "x-lz4-frame", "x-odps-lz4-frame")
"""Names for ``Accept-Encoding`` and ``Content-Encoding``; the two lz4 names mean the same format."""

STEP_BYTES = 256 << 10
"""Most bytes that one step of decompression gives (snappy, which cannot be halted: about twice that)."""

_SNAPPY_OPENING = b"\xff\x06\x00\x00sNaPpY"
_LEVEL = 1  # the Tunnel's own default: the network is fast, and so must this be


class Compressor(Protocol):
    """What is returned by both methods is to be sent in order; :meth:`flush` ends the stream."""

    def compress(self, data: bytes | memoryview, /) -> bytes: ...

    def flush(self) -> bytes: ...


class Decompressor:
    """Undoes one compressed body.

    ``max_output_bytes`` bounds everything that comes out, None means no bound.
    """

    def __init__(self, stream: _Stream, max_output_bytes: int | None) -> None:
        self._stream = stream
        self._max_output_bytes = max_output_bytes
        self._output_bytes = 0

    def decompress(self, piece: bytes | memoryview) -> Iterator[bytes]:
        """Take the next piece of the body and yield what it holds, in steps of bounded size.

        The iterator has to be exhausted before the next piece. Raises :class:`DecompressionError` when the stream is
        damaged, goes on after its end, or gives more than ``max_output_bytes``.
        """
        for output in self._stream.steps(piece):
            self._output_bytes += len(output)
            if self._max_output_bytes is not None and self._output_bytes > self._max_output_bytes:
                raise DecompressionError(f"the body is larger than {self._max_output_bytes} bytes once decompressed")
            if output:
                yield output

    def finish(self) -> None:
        """The body has ended; raises :class:`TruncatedStreamError` when the compressed stream has not."""
        if not self._stream.complete:
            raise TruncatedStreamError(f"the compressed body ended early, after {self._output_bytes} bytes")


def compressor(name: str) -> Compressor:
    """A compressor for one body; ``name`` is one of :data:`ENCODINGS`."""
    match _known(name):
        case "deflate":
            return zlib.compressobj(_LEVEL)
        case "zstd":
            inner: Compressor = zstd.ZstdCompressor(level=_LEVEL)
            return inner
        case "x-snappy-framed":
            return _SnappyCompressor()
        case "x-lz4-frame" | "x-odps-lz4-frame":
            return _Lz4Compressor()
    return _Identity()


def decompressor(name: str, *, max_output_bytes: int | None = None) -> Decompressor:
    """A decompressor for one body; ``name`` is one of :data:`ENCODINGS`."""
    stream: _Stream
    match _known(name):
        case "deflate":
            stream = _Deflate()
        case "zstd":
            stream = _Frames(zstd.ZstdDecompressor, zstd.ZstdError)
        case "x-snappy-framed":
            stream = _Snappy()
        case "x-lz4-frame" | "x-odps-lz4-frame":
            stream = _Frames(lz4.frame.LZ4FrameDecompressor, RuntimeError)
        case _:
            stream = _Identity()
    return Decompressor(stream, max_output_bytes)


def _known(name: str) -> str:
    lower = name.strip().lower()
    if lower not in ENCODINGS:
        raise UsageError(f"unknown encoding {name!r}; there are {', '.join(ENCODINGS)}")
    return lower


# ---------------------------------------------------------------------------------------------------------- compression


class _Lz4Compressor:
    def __init__(self) -> None:
        self._inner = lz4.frame.LZ4FrameCompressor(compression_level=_LEVEL)
        self._begun = False

    def _begin(self) -> bytes:
        if self._begun:
            return b""
        self._begun = True
        return bytes(self._inner.begin())

    def compress(self, data: bytes | memoryview, /) -> bytes:
        return self._begin() + bytes(self._inner.compress(data))

    def flush(self) -> bytes:
        return self._begin() + bytes(self._inner.flush())


class _SnappyCompressor:
    def __init__(self) -> None:
        self._inner = snappy.StreamCompressor()
        self._begun = False

    def compress(self, data: bytes | memoryview, /) -> bytes:
        self._begun = self._begun or len(data) > 0
        # python-snappy takes nothing but bytes.
        return bytes(self._inner.compress(data if isinstance(data, bytes) else bytes(data)))

    def flush(self) -> bytes:
        # Without data the library would write nothing at all, which nobody can tell from a lost body.
        return bytes(self._inner.flush()) if self._begun else _SNAPPY_OPENING


# -------------------------------------------------------------------------------------------------------- decompression


class _Stream(Protocol):
    def steps(self, piece: bytes | memoryview) -> Iterator[bytes]: ...

    @property
    def complete(self) -> bool: ...


class _Identity:
    complete = True

    def compress(self, data: bytes | memoryview, /) -> bytes:
        return bytes(data)

    def flush(self) -> bytes:
        return b""

    def steps(self, piece: bytes | memoryview) -> Iterator[bytes]:
        yield bytes(piece)


class _Deflate:
    """A zlib stream, or the same without zlib's header, which some write under this name; its first two bytes tell."""

    def __init__(self) -> None:
        self._start = b""
        self._inner: Any = None

    @property
    def complete(self) -> bool:
        return bool(self._inner is not None and self._inner.eof)

    def steps(self, piece: bytes | memoryview) -> Iterator[bytes]:
        if self._inner is None:
            self._start += piece
            if len(self._start) < 2:
                return
            piece = self._start
            with_header = piece[0] & 15 == zlib.DEFLATED and (piece[0] << 8 | piece[1]) % 31 == 0
            self._inner = zlib.decompressobj(zlib.MAX_WBITS if with_header else -zlib.MAX_WBITS)
        while True:
            if self._inner.eof:
                if piece:
                    raise DecompressionError("the body goes on after the end of its deflate stream")
                return
            try:
                output = self._inner.decompress(piece, STEP_BYTES)
            except zlib.error as error:
                raise DecompressionError(f"damaged deflate stream: {error}") from error
            piece = self._inner.unused_data if self._inner.eof else self._inner.unconsumed_tail
            yield output
            if not piece and len(output) < STEP_BYTES:
                return


class _Frames:
    """zstd and lz4: one frame, or several after each other."""

    def __init__(self, make: Callable[[], Any], damaged: type[Exception]) -> None:
        self._make = make
        self._damaged = damaged
        self._inner: Any = None
        self.complete = False

    def steps(self, piece: bytes | memoryview) -> Iterator[bytes]:
        while True:
            if self._inner is None:
                if not piece:
                    return
                self._inner = self._make()
                self.complete = False
            try:
                output = self._inner.decompress(piece, max_length=STEP_BYTES)
            except self._damaged as error:
                raise DecompressionError(f"damaged compressed stream: {error}") from error
            piece = b""
            ended, hungry = self._inner.eof, self._inner.needs_input
            if ended:
                piece = self._inner.unused_data or b""
                self._inner = None
                self.complete = True
            yield output
            if hungry and not ended:
                return


class _Snappy:
    _STEP = 16 << 10  # of input: a chunk of snappy's framing expands at most about thirtyfold

    def __init__(self) -> None:
        self._inner = snappy.StreamDecompressor()
        self._begun = False

    @property
    def complete(self) -> bool:
        # What the library has not used yet; the stream's opening chunk alone is a whole, empty stream.
        return self._begun and self._inner.remains in (None, _SNAPPY_OPENING)

    def steps(self, piece: bytes | memoryview) -> Iterator[bytes]:
        for start in range(0, len(piece), self._STEP):
            self._begun = True
            try:
                output = self._inner.decompress(bytes(piece[start : start + self._STEP]))
            except Exception as error:  # the library lets those of its own Rust extension through
                raise DecompressionError(f"damaged snappy stream: {error}") from error
            yield output


_ENCODING_OF = {"deflate": "deflate", "zstd": "zstd", "snappy": "x-snappy-framed", "lz4": "x-lz4-frame"}


def encoding_of(compression: str | None) -> str:
    """The wire's name for ``deflate``, ``zstd``, ``lz4``, ``snappy`` or None; raises :class:`UsageError` otherwise."""
    if compression is None:
        return "identity"
    try:
        return _ENCODING_OF[compression]
    except KeyError:
        raise UsageError(f"unknown compression {compression!r}; there are {', '.join(_ENCODING_OF)} and None") from None
