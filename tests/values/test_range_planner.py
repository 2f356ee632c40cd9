"""Row ranges come out near their size in bytes, whatever the rows."""

from __future__ import annotations

import pyarrow as pa
import pytest

from aiopaiio.range_planner import (
    CONNECTION_BYTES,
    FIRST_RANGE_BYTES,
    LARGEST_RANGE_BYTES,
    LONGEST_RANGE_BYTES,
    RECORD_COLUMN_BYTES,
    SMALLEST_RANGE_BYTES,
    RangePlanner,
)

SCHEMA = pa.schema([("a", pa.int64()), ("b", pa.float64())])
MANY = 10**9
GIB = 1 << 30


def test_a_small_table_is_one_range() -> None:
    assert RangePlanner(SCHEMA, GIB).first_rows(1000) == 1000


def test_a_large_table_begins_with_a_short_range() -> None:
    assert RangePlanner(SCHEMA, GIB).first_rows(MANY) == FIRST_RANGE_BYTES // 16


def test_the_rest_of_a_table_is_shared_among_idle_streams() -> None:
    rows = 4 * SMALLEST_RANGE_BYTES // 16
    assert RangePlanner(SCHEMA, GIB).range_rows(2 * rows, number=9, streams=4, idle_streams=4) == rows // 2


def test_ranges_grow_up_to_a_size_in_bytes() -> None:
    planner = RangePlanner(SCHEMA, GIB)
    sizes = [16 * planner.range_rows(MANY, number=number, streams=4) for number in range(1, 8)]
    assert sizes == [min(SMALLEST_RANGE_BYTES * 4**grown, LARGEST_RANGE_BYTES) for grown in range(7)]
    planner.observe(100, 100_000)
    assert planner.range_rows(MANY, number=20, streams=4) == LARGEST_RANGE_BYTES // 1000


def test_a_slow_stream_gets_what_it_brings_in_less_than_a_second() -> None:
    planner = RangePlanner(SCHEMA, GIB)
    rows = planner.range_rows(MANY, number=20, streams=4, stream_bytes_per_second=10e6)
    assert 5e6 < 16 * rows < 10e6


def test_streams_of_known_speed_end_together() -> None:
    planner = RangePlanner(SCHEMA, GIB)
    rows = 20_000_000 // 16
    assert planner.range_rows(rows, number=20, streams=4, stream_bytes_per_second=10e6) == rows // 4
    # But no stream gets so little that asking for it would take longer.
    assert planner.range_rows(rows, number=20, streams=40, stream_bytes_per_second=10e6) == 2_500_000 // 16


@pytest.mark.parametrize("limit_bytes", [16 << 20, 256 << 20, 4 << 30])
def test_a_long_range_takes_half_of_what_may_wait_at_most(limit_bytes: int) -> None:
    planner = RangePlanner(SCHEMA, limit_bytes)
    assert planner.long_range_rows(1000) == 1000
    rows = planner.long_range_rows(MANY)
    assert 16 * rows == LONGEST_RANGE_BYTES
    assert planner.reserve_bytes_of_long(rows) == min(planner.reserve_bytes(rows), limit_bytes // 4)


@pytest.mark.parametrize("streams", [1, 4, 16, 64])
@pytest.mark.parametrize("limit_bytes", [64 << 20, 256 << 20, 1 << 30])
def test_what_all_streams_bring_fits_the_memory_or_is_as_small_as_can_be(streams: int, limit_bytes: int) -> None:
    planner = RangePlanner(SCHEMA, limit_bytes)
    rows = planner.range_rows(MANY, number=20, streams=streams)
    reserved = planner.reserve_bytes(rows)
    assert reserved * streams <= planner.window_bytes or 16 * rows <= SMALLEST_RANGE_BYTES
    assert reserved <= planner.window_bytes


def test_a_row_wider_than_the_memory_is_asked_for_alone() -> None:
    planner = RangePlanner(SCHEMA, 4 << 20)
    planner.observe(1, 8 << 20)
    assert planner.first_rows(MANY) == 1
    assert planner.range_rows(MANY, number=1, streams=4) == 1


def test_widths_are_guessed_for_every_type() -> None:
    schema = pa.schema([("s", pa.string()), ("l", pa.list_(pa.struct([("x", pa.int64())]))), ("b", pa.bool_())])
    assert RangePlanner(schema, GIB).bytes_per_row > 8


def test_widths_are_known_from_fixed_types_or_from_a_batch() -> None:
    assert RangePlanner(SCHEMA, GIB).knows_widths
    planner = RangePlanner(pa.schema([("s", pa.string())]), GIB)
    assert not planner.knows_widths
    planner.observe(10, 1000)
    assert planner.knows_widths


def test_learning_is_smooth() -> None:
    planner = RangePlanner(SCHEMA, GIB)
    planner.observe(10, 1000)
    planner.observe(10, 2000)
    assert 100 < planner.bytes_per_row < 200
    planner.observe(0, 0)


@pytest.mark.parametrize("width", [16, 8 << 20])
@pytest.mark.parametrize("limit_bytes", [64 << 20, 256 << 20, 1 << 30])
def test_what_is_under_way_on_all_streams_fits_the_memory(limit_bytes: int, width: int) -> None:
    planner = RangePlanner(SCHEMA, limit_bytes)
    planner.observe(1, width)
    streams = min(64, planner.most_streams)
    batch_bytes = planner.batch_bytes(streams)
    assert batch_bytes >= width
    assert streams * (batch_bytes + CONNECTION_BYTES) <= planner.window_bytes


def test_wide_rows_and_little_memory_take_fewer_streams() -> None:
    planner = RangePlanner(SCHEMA, 256 << 20)
    assert planner.most_streams >= 64
    assert 8 <= RangePlanner(SCHEMA, 64 << 20).most_streams < 32
    planner.observe(1, 8 << 20)
    assert 4 <= planner.most_streams < 16
    planner.observe(1, 1 << 40)
    assert planner.most_streams == 1


def test_records_of_many_columns_come_in_longer_ranges() -> None:
    schema = pa.schema([(f"c{number}", pa.int64()) for number in range(1000)])
    planner = RangePlanner(schema, 256 << 20)
    assert planner.first_rows(MANY) == FIRST_RANGE_BYTES // 8000
    planner.records = True
    assert planner.first_rows(MANY) == 1000 * RECORD_COLUMN_BYTES // 2 // 8000
    assert planner.range_rows(MANY, number=1, streams=4) == 1000 * RECORD_COLUMN_BYTES // 8000
    few = RangePlanner(SCHEMA, 256 << 20, records=True)
    assert few.first_rows(MANY) == FIRST_RANGE_BYTES // 16
    assert few.range_rows(MANY, number=1, streams=4) == SMALLEST_RANGE_BYTES // 16


def test_records_of_one_stream_are_asked_for_at_once_as_far_as_memory_goes() -> None:
    planner = RangePlanner(SCHEMA, 256 << 20, records=True)
    assert planner.range_rows(10**6, number=1, streams=1, stream_bytes_per_second=1e6) == 10**6
    rows = planner.range_rows(MANY, number=1, streams=1)
    assert 16 * rows > 2 * LARGEST_RANGE_BYTES
    assert 2 * planner.reserve_bytes(rows) <= planner.window_bytes
