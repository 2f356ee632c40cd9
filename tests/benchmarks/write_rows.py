"""How fast are Python rows written, 1024 in a call and one in a call, until they are visible?"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pyarrow as pa

from paiio import python_io
from tests.benchmarks.bench import Bench, table_path
from tests.benchmarks.digests import digest_of, require_equal
from tests.benchmarks.made_rows import mixed_rows, python_rows
from tests.benchmarks.measuring import Case, Contender

_PEER = "PyODPS record writer"


def cases(bench: Bench) -> Iterator[Case]:
    """Rows of 10 columns."""
    for rows_at_once, count in ((1024, 200_000), (1, 100_000)):
        yield _case(bench, rows_at_once, 5_000 if bench.quick else count)


def _case(bench: Bench, rows_at_once: int, count: int) -> Case:
    batch = mixed_rows(count)
    expected = digest_of([batch])
    rows = python_rows(batch)
    calls = [rows[start : start + rows_at_once] for start in range(0, count, rows_at_once)]
    lists = [[list(row) for row in call] for call in calls]
    indices = list(range(batch.num_columns))

    def write_by_pyodps(name: str) -> None:
        with bench.odps.get_table(name).open_writer() as writer:
            for call in lists:
                writer.write(call if rows_at_once > 1 else call[0])

    def write(name: str) -> None:
        with python_io.TableWriter(table_path(name)) as writer:
            for call in calls:
                writer.write(call if rows_at_once > 1 else call[0], indices)

    name = bench.load(batch)
    size = bench.body_bytes(name)
    bench.drop(name)
    return Case(
        "write_rows",
        f"10 columns, {rows_at_once} a call",
        count,
        size,
        _PEER,
        [
            into_new_table(bench, _PEER, write_by_pyodps, batch, expected),
            into_new_table(bench, "paiio TableWriter.write", write, batch, expected),
        ],
    )


def into_new_table(
    bench: Bench,
    name: str,
    write: Callable[[str], None],
    batch: pa.RecordBatch,
    expected: tuple[object, ...],
    *,
    wall: bool = False,
) -> Contender:
    """A contender that writes into a table made before the clock starts; it is read back when it has stopped."""
    tables: list[str] = []

    def run() -> None:
        write(tables[-1])

    def check(_: None) -> None:
        table = tables.pop()
        require_equal(bench.wait(bench.read_back(table)), expected)
        bench.drop(table)

    return Contender(name, run, check, prepare=lambda: tables.append(bench.new_table(batch)), wall=wall)
