"""The checksummed frames around an Arrow body: bytes in, verified payload out, and the reverse. No I/O.

A body is four bytes frame size, then frames of exactly that many payload bytes, each followed by the CRC32C of the
frame; then a last, shorter piece (perhaps empty) followed by the CRC32C of the *whole* payload. All numbers are big
endian. Nothing marks the last piece but the end of the body, so a body is whole only when :meth:`FrameDecoder.finish`
says so.

An upload without rows may be four zero bytes and nothing else; it is accepted, since no other body begins like that.
"""

from __future__ import annotations

import struct
from functools import lru_cache

from crc32c import crc32c

from aiopaiio.errors import ChecksumError, MalformedStreamError, TruncatedStreamError

__all__ = ["FRAME_BYTES", "FrameDecoder", "FrameEncoder"]

FRAME_BYTES = 65536
"""Payload bytes of a frame, as every client and the service write them."""

MAX_FRAME_BYTES = 16 << 20
"""A frame is held until its checksum is seen, so its size must have a bound."""

_NUMBER = struct.Struct(">I")
_COMBINED_UP_TO = 1 << 20


class FrameDecoder:
    """Takes a body in pieces of any size and gives back its payload, every byte of it verified.

    Immutable pieces are kept by reference until their frame is complete; anything else is copied.
    """

    def __init__(self, *, max_frame_bytes: int = MAX_FRAME_BYTES) -> None:
        self._max_frame_bytes = max_frame_bytes
        self._frame_bytes: int | None = None
        self._number = b""  # a number split between two pieces
        self._held: list[memoryview] = []  # payload of the frame being received
        self._held_bytes = 0
        self._frame_crc = 0
        self._total_crc = 0
        self._verified_bytes = 0
        self._done = False

    def __repr__(self) -> str:
        state = "done" if self._done else f"{self._held_bytes} of {self._frame_bytes} bytes of a frame held"
        return f"<{type(self).__name__}: {self._verified_bytes} bytes verified, {state}>"

    def feed(self, piece: bytes | bytearray | memoryview) -> list[memoryview]:
        """Take the next piece of the body; return the payload that became verified, in order.

        Raises :class:`ChecksumError` or :class:`MalformedStreamError`; the decoder is then of no further use.
        """
        view = memoryview(piece).cast("B")
        if not view.readonly:
            view = memoryview(bytes(view))
        verified: list[memoryview] = []
        position, end = 0, len(view)
        frame_bytes = self._frame_bytes
        if frame_bytes is None:
            position = self._take_number(view, 0)
            if len(self._number) < 4:
                return verified
            frame_bytes = self._start()
        while position < end:
            missing = frame_bytes - self._held_bytes
            if missing:
                part = view[position : position + missing]
                position += len(part)
                self._frame_crc = crc32c(part, self._frame_crc)
                self._held.append(part)
                self._held_bytes += len(part)
                continue
            if frame_bytes == 0:
                raise MalformedStreamError("the body says its frames have no bytes, but goes on")
            position = self._take_number(view, position)
            if len(self._number) == 4:
                self._end_frame(frame_bytes)
                verified += self._held
                self._held.clear()
        return verified

    def finish(self) -> memoryview:
        """The body has ended: return the payload of its last piece (perhaps empty).

        Raises :class:`TruncatedStreamError` when the closing checksum is missing, :class:`ChecksumError` when it is
        wrong; a body cut inside its last piece looks like the latter.
        """
        if self._frame_bytes is None:
            raise TruncatedStreamError(f"the body ended after {len(self._number)} bytes")
        self._done = True
        if self._frame_bytes == 0:
            return memoryview(b"")
        tail = b"".join([*self._held, self._number])
        self._held.clear()
        if len(tail) < 4:
            raise TruncatedStreamError(
                f"the body ended before its closing checksum, after {self._verified_bytes} bytes of payload"
            )
        payload = memoryview(tail)[:-4]
        if crc32c(payload, self._total_crc) != _NUMBER.unpack_from(tail, len(tail) - 4)[0]:
            raise ChecksumError(
                f"the last {len(payload)} bytes do not agree with the closing checksum: the body is cut or damaged"
            )
        self._verified_bytes += len(payload)
        return payload

    def _take_number(self, view: memoryview, position: int) -> int:
        """Gather four bytes of a number; return the position after what was taken."""
        stop = position + 4 - len(self._number)
        self._number += bytes(view[position:stop])
        return min(stop, len(view))

    def _start(self) -> int:
        frame_bytes: int = _NUMBER.unpack(self._number)[0]
        if frame_bytes > self._max_frame_bytes:
            raise MalformedStreamError(f"frames of {frame_bytes} bytes; at most {self._max_frame_bytes} are accepted")
        self._number = b""
        self._frame_bytes = frame_bytes
        return frame_bytes

    def _end_frame(self, frame_bytes: int) -> None:
        if self._frame_crc != _NUMBER.unpack(self._number)[0]:
            raise ChecksumError(f"a frame is damaged, after {self._verified_bytes} bytes of payload")
        if frame_bytes <= _COMBINED_UP_TO:
            self._total_crc = _after_frame(self._total_crc, frame_bytes) ^ self._frame_crc
        else:
            for part in self._held:
                self._total_crc = crc32c(part, self._total_crc)
        self._number = b""
        self._frame_crc = 0
        self._held_bytes = 0
        self._verified_bytes += frame_bytes


class FrameEncoder:
    """Puts frames around payload; what it returns is to be sent in order."""

    def __init__(self, frame_bytes: int = FRAME_BYTES) -> None:
        if not 0 < frame_bytes <= MAX_FRAME_BYTES:
            raise ValueError(f"a frame has 1 to {MAX_FRAME_BYTES} bytes, not {frame_bytes}")
        self._frame_bytes = frame_bytes
        self._filled_bytes = 0
        self._frame_crc = 0
        self._total_crc = 0
        self._started = False

    def encode(self, payload: bytes | memoryview) -> list[bytes | memoryview]:
        """Frame the next part of the payload. Views of ``payload`` are returned, not copies."""
        pieces: list[bytes | memoryview] = self._opening()
        view = memoryview(payload).cast("B")
        position = 0
        while position < len(view):
            part = view[position : position + self._frame_bytes - self._filled_bytes]
            position += len(part)
            pieces.append(part)
            self._frame_crc = crc32c(part, self._frame_crc)
            self._filled_bytes += len(part)
            if self._filled_bytes == self._frame_bytes:
                pieces.append(_NUMBER.pack(self._frame_crc))
                self._total_crc = self._total_with_frame()
                self._frame_crc = self._filled_bytes = 0
        return pieces

    def finish(self) -> bytes:
        """The end of the body: the closing checksum (after the frame size, when there was no payload at all)."""
        return b"".join([*self._opening(), _NUMBER.pack(self._total_with_frame())])

    def _opening(self) -> list[bytes | memoryview]:
        if self._started:
            return []
        self._started = True
        return [_NUMBER.pack(self._frame_bytes)]

    def _total_with_frame(self) -> int:
        return _after_frame(self._total_crc, self._filled_bytes) ^ self._frame_crc


def _after_frame(crc: int, frame_bytes: int) -> int:
    """What ``crc`` contributes to a checksum that goes on for ``frame_bytes`` more bytes.

    A CRC is linear: ``crc(a + b) == _after_frame(crc(a), len(b)) ^ crc(b)``. So the checksum of the whole payload
    follows from the frames' own, and no byte is summed twice.
    """
    if not crc:
        return 0
    first, second, third, fourth = _shift_tables(frame_bytes)
    return first[crc & 255] ^ second[crc >> 8 & 255] ^ third[crc >> 16 & 255] ^ fourth[crc >> 24]


@lru_cache(maxsize=16)
def _shift_tables(count: int) -> tuple[tuple[int, ...], ...]:
    """For each byte of a checksum and each of its values: the checksum after ``count`` more zero bytes."""
    zeros = bytes(count)
    of_nothing = crc32c(zeros)
    bits = [crc32c(zeros, 1 << bit) ^ of_nothing for bit in range(32)]
    tables = []
    for first_bit in range(0, 32, 8):
        table = [0] * 256
        for value in range(1, 256):
            low_bit = value & -value
            table[value] = table[value ^ low_bit] ^ bits[first_bit + low_bit.bit_length() - 1]
        tables.append(tuple(table))
    return tuple(tables)
