"""Compressed bodies: back as they were, PyODPS on the other side, bounded, and no damage unseen."""

from __future__ import annotations

import io
import os
import zlib

import pytest
from codec_rows import in_pieces
from hypothesis import given, settings
from hypothesis import strategies as st
from odps.tunnel.io.stream import CompressOption, get_compress_stream, get_decompress_stream

from aiopaiio.compression import ENCODINGS, STEP_BYTES, compressor, decompressor
from aiopaiio.errors import DecompressionError, TruncatedStreamError, UsageError

COMPRESSING = [name for name in ENCODINGS if name != "identity"]


def compressed(name: str, parts: list[bytes]) -> bytes:
    engine = compressor(name)
    return b"".join([*(engine.compress(part) for part in parts), engine.flush()])


def decompressed(name: str, pieces: list[bytes], max_output_bytes: int | None = None) -> bytes:
    engine = decompressor(name, max_output_bytes=max_output_bytes)
    found = b"".join(step for piece in pieces for step in engine.decompress(piece))
    engine.finish()
    return found


@pytest.mark.parametrize("name", ENCODINGS)
@settings(max_examples=20, deadline=None)
@given(parts=st.lists(st.binary(max_size=200)), sizes=st.lists(st.integers(1, 90), min_size=1))
def test_round_trip(name: str, parts: list[bytes], sizes: list[int]) -> None:
    body = compressed(name, parts)
    assert decompressed(name, [body]) == b"".join(parts)
    assert decompressed(name, in_pieces(body, sizes)) == b"".join(parts)


@pytest.mark.parametrize("name", ENCODINGS)
def test_large_round_trip(name: str) -> None:
    content = os.urandom(300_000) + bytes(3_000_000) + os.urandom(1000)
    body = compressed(name, in_pieces(content, [65536, 10]))
    assert decompressed(name, in_pieces(body, [65536])) == content


@pytest.mark.parametrize("name", COMPRESSING)
def test_pyodps_reads_and_writes(name: str) -> None:
    option = CompressOption(CompressOption.CompressAlgorithm.from_encoding(name))
    content = os.urandom(100_000) + b"abc" * 100_000
    assert get_decompress_stream(io.BytesIO(compressed(name, [content])), option, requests=False).read() == content
    out = io.BytesIO()
    stream = get_compress_stream(out, option)
    for part in in_pieces(content, [70_000]):
        stream.write(part)
    stream.flush()
    assert decompressed(name, in_pieces(out.getvalue(), [65536])) == content


@pytest.mark.parametrize("name", COMPRESSING)
def test_steps_are_bounded(name: str) -> None:
    body = compressed(name, in_pieces(bytes(20_000_000), [1 << 20]))
    engine = decompressor(name)
    steps = [len(step) for step in engine.decompress(body)]
    engine.finish()
    assert sum(steps) == 20_000_000
    assert max(steps) <= 2 * STEP_BYTES


@pytest.mark.parametrize("name", COMPRESSING)
def test_a_bomb_is_refused_early(name: str) -> None:
    body = compressed(name, in_pieces(bytes(20_000_000), [1 << 20]))
    engine = decompressor(name, max_output_bytes=1_000_000)
    out = 0
    with pytest.raises(DecompressionError, match="larger than 1000000 bytes"):
        for step in engine.decompress(body):
            out += len(step)
    assert out <= 1_000_000


@pytest.mark.parametrize("name", COMPRESSING)
def test_cut_at_every_byte(name: str) -> None:
    body = compressed(name, [b"some text, some text, some text"])
    for cut in range(len(body)):
        if name == "x-snappy-framed" and cut == 10:
            continue  # a whole stream of nothing
        with pytest.raises(TruncatedStreamError):
            decompressed(name, [body[:cut]])


@pytest.mark.parametrize("name", COMPRESSING)
def test_bytes_after_the_end(name: str) -> None:
    body = compressed(name, [b"some text"])
    with pytest.raises((DecompressionError, TruncatedStreamError)):
        decompressed(name, [body + b"garbage and more garbage"])
    with pytest.raises((DecompressionError, TruncatedStreamError)):
        decompressed(name, [body, b"garbage and more garbage"])


@pytest.mark.parametrize("name", COMPRESSING)
def test_garbage(name: str) -> None:
    with pytest.raises((DecompressionError, TruncatedStreamError)):
        decompressed(name, [b"no compressed stream begins like this" * 100])


@pytest.mark.parametrize("name", ["zstd", "x-lz4-frame", "x-odps-lz4-frame", "x-snappy-framed"])
def test_streams_after_each_other(name: str) -> None:
    body = compressed(name, [b"first "]) + compressed(name, [b"second"])
    assert decompressed(name, [body]) == b"first second"
    assert decompressed(name, in_pieces(body, [1])) == b"first second"


def test_deflate_without_its_header() -> None:
    engine = zlib.compressobj(wbits=-15)
    body = engine.compress(b"some text" * 1000) + engine.flush()
    assert decompressed("deflate", in_pieces(body, [1])) == b"some text" * 1000


def test_names() -> None:
    assert decompressed("ZSTD", [compressed("Zstd", [b"x"])]) == b"x"
    for make in (compressor, decompressor):
        with pytest.raises(UsageError, match="gzip"):
            make("gzip")
