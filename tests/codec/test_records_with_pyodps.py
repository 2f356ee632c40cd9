"""PyODPS reads the records this library writes, and the reverse."""

from __future__ import annotations

import pyarrow as pa
from codec_rows import FLAT_TYPES, batches
from hypothesis import HealthCheck, given, settings
from pyodps_peer import read_records, written_records

from aiopaiio.record_decoder import RecordStreamDecoder
from aiopaiio.record_encoder import RecordStreamEncoder
from aiopaiio.schema import Column

# PyODPS turns JSON into Python values and back, and reads CHAR and VARCHAR as it reads STRING.
PEER_TYPES = tuple(name for name in FLAT_TYPES if name not in ("json", "float"))
quick = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@quick
@given(batches(PEER_TYPES, peer=True))
def test_pyodps_reads(table: tuple[tuple[Column, ...], pa.RecordBatch]) -> None:
    columns, batch = table
    encoder = RecordStreamEncoder(columns)
    body = encoder.encode(batch) + encoder.finish()
    assert read_records(columns, body) == [list(row.values()) for row in batch.to_pylist()]


@quick
@given(batches(PEER_TYPES, peer=True))
def test_pyodps_writes(table: tuple[tuple[Column, ...], pa.RecordBatch]) -> None:
    columns, batch = table
    body = written_records(columns, batch)
    assert RecordStreamDecoder(columns).decode(body).to_pylist() == batch.to_pylist()


def test_float_and_json() -> None:
    columns = (Column("f", "float"), Column("j", "json"), Column("a", "array<float>"))
    schema = pa.schema([("f", pa.float32()), ("j", pa.string()), ("a", pa.list_(pa.float32()))])
    rows = [{"f": 1.5, "j": '{"a": [1, null]}', "a": [0.5, None]}, {"f": None, "j": "[]", "a": None}]
    batch = pa.RecordBatch.from_pylist(rows, schema=schema)
    encoder = RecordStreamEncoder(columns)
    body = encoder.encode(batch) + encoder.finish()
    assert read_records(columns, body) == [list(row.values()) for row in rows]
    assert RecordStreamDecoder(columns).decode(written_records(columns, batch)).to_pylist() == rows
