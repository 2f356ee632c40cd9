"""How fast do Python rows come out of the blocking reader: ``read(1024)`` to the end, and ``read(1)`` in a loop?

Every contender keeps what it read, and all cells are compared when the clock has stopped.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from paiio import python_io
from tests.benchmarks.bench import Bench, table_path
from tests.benchmarks.digests import digest_of, require_equal
from tests.benchmarks.made_rows import mixed_rows, python_rows
from tests.benchmarks.measuring import Case, Contender, WrongRows

_PEER = "PyODPS record iteration"
_TEXTS = ["session", "city"] * 5
_NUMBERS = ["user_id", "category", "price", "score", "weight"] * 2


def cases(bench: Bench) -> Iterator[Case]:
    """Tables of 10 columns: mixed with some NULLs, texts only, and numbers of which most are NULL."""
    rows = mixed_rows(5_000 if bench.quick else 200_000)
    yield from _case(bench, "10 columns", rows)
    some = rows.slice(0, rows.num_rows // 2)
    yield from _case(bench, "10 texts", pa.record_batch({f"{name}_{at}": some[name] for at, name in enumerate(_TEXTS)}))
    kept = pa.array(np.arange(some.num_rows) % 4 == 0)
    numbers = {f"n{at}": pc.if_else(kept, some[name], None) for at, name in enumerate(_NUMBERS)}
    yield from _case(bench, "10 numbers, mostly NULL", pa.record_batch(numbers))


def _case(bench: Bench, title: str, batch: pa.RecordBatch) -> Iterator[Case]:
    name = bench.load(batch)
    expected, digest = python_rows(batch), digest_of([batch])

    def check_arrays(got: list[Any]) -> None:
        require_rows((row for array in got for row in array), expected)

    yield Case(
        "row_read",
        title,
        batch.num_rows,
        bench.body_bytes(name),
        _PEER,
        [
            Contender(_PEER, lambda: pyodps_records(bench, name), lambda got: require_rows(got, expected)),
            Contender("paiio read(1024)", lambda: _read(name, 1024), check_arrays),
            Contender("paiio read(1024), as tuples", lambda: _tuples(name), lambda got: require_rows(got, expected)),
            Contender("paiio read(1)", lambda: _read(name, 1), check_arrays),
            *bench.drains(name, batch.schema, lambda batches: require_equal(digest_of(batches), digest), (1,)),
        ],
    )
    bench.drop(name)


def pyodps_records(bench: Bench, name: str) -> list[Any]:
    """All records of a table, as PyODPS gives them; their cells are not even looked at."""
    session = bench.tunnel.create_download_session(name)
    with session.open_record_reader(0, session.count) as reader:
        return list(reader)


def require_rows(rows: Iterable[Any], expected: list[tuple[Any, ...]]) -> None:
    """Raise :class:`WrongRows` unless all cells are equal; ``rows`` are tuples or PyODPS's records."""
    got = [row if isinstance(row, tuple) else tuple(row.values) for row in rows]
    if len(got) != len(expected):
        raise WrongRows(f"{len(got)} rows instead of {len(expected)}")
    for number, (row, right) in enumerate(zip(got, expected, strict=True)):
        if row != right:
            raise WrongRows(f"row {number} is {row} instead of {right}")


def _read(name: str, rows_at_once: int) -> list[Any]:
    arrays = []
    with python_io.TableReader(table_path(name)) as reader:
        try:
            while True:
                arrays.append(reader.read(rows_at_once))
        except python_io.OutOfRangeException:
            return arrays


def _tuples(name: str) -> list[tuple[Any, ...]]:
    with python_io.TableReader(table_path(name)) as reader:
        return list(reader)
