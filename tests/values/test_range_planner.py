"""Row ranges come out near their size in bytes, whatever the rows."""

import pyarrow as pa

from aiopaiio.range_planner import LARGEST_RANGE_BYTES, SMALLEST_RANGE_BYTES, RangePlanner

SCHEMA = pa.schema([("a", pa.int64()), ("b", pa.float64())])


def test_a_small_table_is_one_range() -> None:
    assert RangePlanner(SCHEMA, 1 << 30).range_rows(1000, 4) == 1000


def test_a_table_is_shared_among_the_streams() -> None:
    rows = 4 * SMALLEST_RANGE_BYTES // 16
    assert RangePlanner(SCHEMA, 1 << 30).range_rows(2 * rows, 4) == rows // 2


def test_a_large_table_is_cut_by_bytes() -> None:
    planner = RangePlanner(SCHEMA, 1 << 30)
    assert planner.range_rows(10**9, 4) == LARGEST_RANGE_BYTES // 16
    planner.observe(100, 100_000)
    assert planner.range_rows(10**9, 4) == LARGEST_RANGE_BYTES // 1000


def test_ranges_fit_the_memory_of_a_stream() -> None:
    planner = RangePlanner(SCHEMA, 4 << 20)
    planner.observe(1, 8 << 20)
    assert planner.range_rows(10**9, 4) == 1


def test_widths_are_guessed_for_every_type() -> None:
    schema = pa.schema([("s", pa.string()), ("l", pa.list_(pa.struct([("x", pa.int64())]))), ("b", pa.bool_())])
    assert RangePlanner(schema, 1 << 30).bytes_per_row > 8


def test_learning_is_smooth() -> None:
    planner = RangePlanner(SCHEMA, 1 << 30)
    planner.observe(10, 1000)
    planner.observe(10, 2000)
    assert 100 < planner.bytes_per_row < 200
    planner.observe(0, 0)
