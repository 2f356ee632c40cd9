"""Bodies cut, or with a bit flipped, at every byte: all rows or a typed error, through the codecs and end to end."""

from __future__ import annotations

from collections import Counter

import pyarrow as pa
import pytest

from aiopaiio import errors
from aiopaiio.arrow_stream import ArrowStreamDecoder, ArrowStreamEncoder
from aiopaiio.compression import compressor, decompressor
from aiopaiio.local import LocalService
from aiopaiio.local.faults import Fault, FlipBit, ShortBody
from aiopaiio.record_decoder import RecordStreamDecoder
from aiopaiio.record_encoder import RecordStreamEncoder
from aiopaiio.schema import Column, arrow_schema

from .conftest import HASTY
from .expectations import read_outcome

COLUMNS = (Column("id", "bigint"), Column("text", "string"), Column("list", "array<double>"))
SCHEMA = arrow_schema(COLUMNS)
CREATED = "id bigint, text string, list array<double>"
ROWS = pa.table(
    {
        "id": [1, None, 3, -(2**62), 5],
        "text": ["a", "", None, "Grüße", "x" * 40],
        "list": [[1.5], None, [], [0.25, None], [2.0] * 4],
    },
    schema=SCHEMA,
)
ENCODINGS = ["identity", "deflate", "zstd", "x-lz4-frame", "x-snappy-framed"]
WITH_A_QUICK_ONE_OF_EACH_KIND = [
    pytest.param(encoding, marks=[] if encoding in ("identity", "x-lz4-frame") else pytest.mark.slow)
    for encoding in ENCODINGS
]
COMPRESSIONS = {
    "identity": None,
    "deflate": "deflate",
    "zstd": "zstd",
    "x-lz4-frame": "lz4",
    "x-snappy-framed": "snappy",
}


def encoded(wire_form: str, encoding: str) -> bytes:
    """The rows as a body of two batches; the Arrow form in frames so small that many cuts fall on a boundary."""
    parts = [ROWS.slice(0, 2), ROWS.slice(2)]
    batches = [part.combine_chunks().to_batches()[0] for part in parts]
    encoder = ArrowStreamEncoder(SCHEMA, chunk_bytes=64) if wire_form == "arrow" else RecordStreamEncoder(COLUMNS)
    body = bytearray()
    for batch in batches:
        pieces = encoder.encode(batch)
        body += pieces if isinstance(pieces, bytes) else b"".join(pieces)
    body += encoder.finish()
    if encoding == "identity":
        return bytes(body)
    engine = compressor(encoding)
    return engine.compress(bytes(body)) + engine.flush()


def decoded(wire_form: str, encoding: str, body: bytes, piece_bytes: int) -> list[dict[str, object]]:
    """As the reader decodes: piece by piece, batches as they come, then the end is checked."""
    decoder = ArrowStreamDecoder(SCHEMA) if wire_form == "arrow" else RecordStreamDecoder(COLUMNS)
    undo = decompressor(encoding)
    batches: list[pa.RecordBatch] = []
    for start in range(0, len(body), piece_bytes):
        for part in undo.decompress(body[start : start + piece_bytes]):
            new = decoder.feed(part)
            batches += new
            if new:
                # Whatever is given out before the end is proven.
                given = pa.Table.from_batches(batches)
                assert given.to_pylist() == ROWS.slice(0, given.num_rows).to_pylist()
    undo.finish()
    batches += decoder.finish()
    return pa.Table.from_batches(batches, SCHEMA).to_pylist()


def decoding_outcome(wire_form: str, encoding: str, body: bytes, piece_bytes: int) -> str:
    try:
        rows = decoded(wire_form, encoding, body, piece_bytes)
    except errors.DataError as error:
        return type(error).__name__
    return "all rows" if rows == ROWS.to_pylist() else "SILENT"


@pytest.mark.parametrize("wire_form", ["arrow", "record"])
@pytest.mark.parametrize("encoding", WITH_A_QUICK_ONE_OF_EACH_KIND)
def test_the_codecs_notice_every_cut(wire_form: str, encoding: str) -> None:
    body = encoded(wire_form, encoding)
    outcomes: Counter[str] = Counter()
    for cut in range(len(body) + 1):
        for piece_bytes in (1, 7, 10**6):
            outcome = decoding_outcome(wire_form, encoding, body[:cut], piece_bytes)
            assert outcome != "SILENT", f"cut at byte {cut} of {len(body)} in silence"
            outcomes[outcome] += 1
    print(f"{wire_form}, {encoding}: {len(body) + 1} cuts, {dict(outcomes)}, silent 0")
    assert outcomes["all rows"] >= 3
    assert outcomes.total() == 3 * (len(body) + 1)


@pytest.mark.parametrize("wire_form", ["arrow", "record"])
@pytest.mark.parametrize("encoding", WITH_A_QUICK_ONE_OF_EACH_KIND)
def test_the_codecs_notice_every_flipped_bit(wire_form: str, encoding: str) -> None:
    body = encoded(wire_form, encoding)
    outcomes: Counter[str] = Counter()
    for at in range(len(body)):
        for bit in range(8) if wire_form == "arrow" else (at % 8, (at + 5) % 8):
            damaged = bytearray(body)
            damaged[at] ^= 1 << bit
            outcome = decoding_outcome(wire_form, encoding, bytes(damaged), 10**6)
            assert outcome != "SILENT", f"bit {bit} of byte {at} flipped in silence"
            # Some bits of a compressed stream mean nothing.
            assert outcome != "all rows" or encoding != "identity"
            outcomes[outcome] += 1
    print(f"{wire_form}, {encoding}: {outcomes.total()} bits, {dict(outcomes)}, silent 0")


@pytest.mark.parametrize("wire_form", ["arrow", "record"])
@pytest.mark.parametrize(
    ("encoding", "step_bytes"),
    [("identity", 15), *(pytest.param(encoding, 1, marks=pytest.mark.slow) for encoding in ENCODINGS)],
)
async def test_the_reader_heals_every_cut_and_flip(
    connect, make_table, local_service: LocalService, wire_form: str, encoding: str, step_bytes: int
) -> None:
    """Each cut and flip once, at the first answer: the rows are all there in the end."""
    path = await make_table(CREATED, ROWS)
    before = local_service.statistics.sent_bytes
    options = {"wire_form": wire_form, "compression": COMPRESSIONS[encoding], "concurrency": 1}
    async with connect() as client:
        assert await read_outcome(client, path, ROWS, **options) is None
        size = local_service.statistics.sent_bytes - before
        assert size > 100
        places = range(0, size, step_bytes)
        outcomes: Counter[str] = Counter()
        for action in (
            *(ShortBody(cut_at_bytes=at, compressed=encoding != "identity") for at in places),
            *(FlipBit(at, at % 8) for at in (places if encoding == "identity" else places[::4])),
        ):
            local_service.faults.clear()
            local_service.faults.log.clear()
            requests = local_service.faults.requests["read_rows"]
            local_service.faults.add(Fault("read_rows", action, 1))
            error = await read_outcome(client, path, ROWS, **options)
            assert error is None, (action, error)
            assert local_service.faults.log
            outcomes["healed" if local_service.faults.requests["read_rows"] > requests + 1 else "harmless"] += 1
    print(f"{wire_form}, {encoding}: {outcomes.total()} cuts and flips, {dict(outcomes)}, silent 0")
    assert outcomes["healed"] >= 0.9 * len(places)


@pytest.mark.usefixtures("alike_bodies")
@pytest.mark.slow
@pytest.mark.parametrize("wire_form", ["arrow", "record"])
@pytest.mark.parametrize("encoding", ENCODINGS)
async def test_a_cut_that_stays_is_a_typed_error(
    connect, make_table, local_service: LocalService, wire_form: str, encoding: str
) -> None:
    path = await make_table(CREATED, ROWS)
    options = {"wire_form": wire_form, "compression": COMPRESSIONS[encoding], "concurrency": 1}
    compressed = encoding != "identity"
    hasty = type(HASTY)(0.0, 0.0, 0.0001, 0.0001)
    async with connect(retry=hasty) as client:

        async def body_bytes(first_row: int) -> int:
            before = local_service.statistics.sent_bytes
            rest = f"{path}?start={first_row}&end={ROWS.num_rows}"
            assert await read_outcome(client, rest, ROWS.slice(first_row), **options) is None
            return local_service.statistics.sent_bytes - before

        size = await body_bytes(0)
        # Each record that came is right, and no more is asked for than the others, in the end the last one.
        least = await body_bytes(ROWS.num_rows - 1) if wire_form == "record" else size
        outcomes: Counter[str] = Counter()
        for cut in range(size):
            local_service.faults.clear()
            local_service.faults.add(Fault("read_rows", ShortBody(cut_at_bytes=cut, compressed=compressed)))
            error = await read_outcome(client, path, ROWS, **options)
            outcomes[type(error).__name__] += 1
            # A compressed stream may be cut behind all that matters.
            may_be_read = cut >= least - (16 if compressed else 0)
            assert isinstance(error, errors.DataError) or (may_be_read and error is None), cut
    print(f"{wire_form}, {encoding}: {size} cuts that stay, {dict(outcomes)}, silent 0")
