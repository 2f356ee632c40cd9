"""Checksummed frames: payload in and out, and no damage unseen."""

from __future__ import annotations

import pytest
from codec_rows import in_pieces
from crc32c import crc32c
from hypothesis import given, settings
from hypothesis import strategies as st

from aiopaiio.errors import ChecksumError, DataError, MalformedStreamError, TruncatedStreamError
from aiopaiio.frames import MAX_FRAME_BYTES, FrameDecoder, FrameEncoder


def framed(parts: list[bytes], frame_bytes: int) -> bytes:
    encoder = FrameEncoder(frame_bytes)
    return b"".join([*(piece for part in parts for piece in encoder.encode(part)), encoder.finish()])


def payload_of(pieces: list[bytes]) -> bytes:
    decoder = FrameDecoder()
    found = [bytes(view) for piece in pieces for view in decoder.feed(piece)]
    return b"".join([*found, decoder.finish()])


@settings(deadline=None)
@given(
    st.lists(st.binary(max_size=300)),
    st.integers(1, 100),
    st.lists(st.integers(1, 120), min_size=1),
)
def test_round_trip(parts: list[bytes], frame_bytes: int, sizes: list[int]) -> None:
    body = framed(parts, frame_bytes)
    payload = b"".join(parts)
    assert body[:4] == frame_bytes.to_bytes(4, "big")
    assert body[-4:] == crc32c(payload).to_bytes(4, "big")
    assert len(body) == 8 + len(payload) + 4 * (len(payload) // frame_bytes)
    assert payload_of([body]) == payload
    assert payload_of(in_pieces(body, sizes)) == payload


def test_large_frames_too() -> None:
    payload = bytes(range(256)) * 10_000
    for frame_bytes in (65536, (1 << 20) + 1):
        assert payload_of([framed([payload], frame_bytes)]) == payload


def test_only_verified_bytes_come_out() -> None:
    body = framed([b"abcdefgh"], 4)
    decoder = FrameDecoder()
    assert decoder.feed(body[:11]) == []
    assert decoder.feed(body[11:12]) == [b"abcd"]
    assert "4 bytes verified" in repr(decoder)


@pytest.mark.parametrize("payload", [b"", b"abc", b"abcd", b"abcdefgh", b"abcdefghi"])
def test_cut_at_every_byte(payload: bytes) -> None:
    body = framed([payload], 4)
    for cut in range(len(body)):
        with pytest.raises((TruncatedStreamError, ChecksumError)):
            payload_of([body[:cut]])


@pytest.mark.parametrize("payload", [b"", b"abc", b"abcdefgh", b"abcdefghi"])
def test_every_bit_flipped(payload: bytes) -> None:
    body = framed([payload], 4)
    # Where all is one piece, another frame size changes nothing.
    for bit in range(32 if len(payload) < 4 else 0, 8 * len(body)):
        damaged = bytearray(body)
        damaged[bit >> 3] ^= 1 << (bit & 7)
        with pytest.raises(DataError):
            payload_of([bytes(damaged)])


def test_bytes_after_the_end() -> None:
    body = framed([b"abcdef"], 4)
    for extra in (b"\0", b"garbage, and more of it"):
        with pytest.raises(ChecksumError):
            payload_of([body + extra])


def test_no_payload() -> None:
    assert payload_of([bytes(4)]) == b""
    assert payload_of([b"\0", b"\0\0", b"\0"]) == b""
    with pytest.raises(MalformedStreamError):
        payload_of([bytes(5)])
    with pytest.raises(TruncatedStreamError):
        payload_of([])


def test_frames_have_a_greatest_size() -> None:
    with pytest.raises(MalformedStreamError, match="at most"):
        FrameDecoder().feed((MAX_FRAME_BYTES + 1).to_bytes(4, "big"))
    with pytest.raises(ValueError, match="not 0"):
        FrameEncoder(0)


def test_a_buffer_may_be_used_again_by_its_owner() -> None:
    body = framed([b"abcdefg"], 4)
    decoder = FrameDecoder()
    buffer = bytearray(1)
    found = []
    for byte in body:
        buffer[0] = byte
        found += [bytes(view) for view in decoder.feed(buffer)]
    assert b"".join([*found, decoder.finish()]) == b"abcdefg"
