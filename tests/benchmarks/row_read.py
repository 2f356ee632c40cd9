"""How fast do Python rows come out of the blocking reader: ``read(1024)`` to the end, and ``read(1)`` in a loop?

Every contender keeps what it read, and all cells are compared when the clock has stopped.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from paiio import python_io
from tests.benchmarks.bench import Bench, table_path
from tests.benchmarks.made_rows import mixed_rows, python_rows
from tests.benchmarks.measuring import Case, Contender, WrongRows

_PEER = "PyODPS record iteration"


def cases(bench: Bench) -> Iterator[Case]:
    """One table of 10 columns, with texts and NULLs."""
    count = 5_000 if bench.quick else 200_000
    batch = mixed_rows(count)
    name = bench.load(batch)
    expected = python_rows(batch)

    def check_arrays(got: list[Any]) -> None:
        require_rows((row for array in got for row in array), expected)

    yield Case(
        "row_read",
        "10 columns",
        count,
        bench.body_bytes(name),
        _PEER,
        [
            Contender(_PEER, lambda: pyodps_records(bench, name), lambda got: require_rows(got, expected)),
            Contender("paiio read(1024)", lambda: _read(name, 1024), check_arrays),
            Contender("paiio read(1024), as tuples", lambda: _tuples(name), lambda got: require_rows(got, expected)),
            Contender("paiio read(1)", lambda: _read(name, 1), check_arrays),
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
