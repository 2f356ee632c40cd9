"""Tables that hypothesis makes, written by one peer and read by every other: the same rows, value for value."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, currently_in_test_context, given, note, settings
from hypothesis import strategies as st

from aiopaiio.odps_types import parse_type

from .conftest import Peers
from .plain_values import comparable, types, values
from .ways import READERS, WRITERS

_EXAMPLES = 7
_MANY_EXAMPLES = 60
_MOST_COLUMNS = 5
_MOST_ROWS = 7

# PyODPS and pandas warn of things of their own.
pytestmark = pytest.mark.filterwarnings("ignore::Warning:odps", "ignore::Warning:pandas")


@st.composite
def tables(draw: st.DrawFn, *, arrow: bool, pyodps_arrow: bool) -> tuple[list[str], list[list[Any]]]:
    """Column types and rows of plain values."""
    columns = draw(st.lists(types(arrow=arrow, pyodps_arrow=pyodps_arrow), min_size=1, max_size=_MOST_COLUMNS))
    row = st.tuples(*map(values, columns)).map(list)
    return columns, draw(st.lists(row, min_size=1, max_size=_MOST_ROWS))


def check(peers: Peers, writer: str, table: tuple[list[str], list[list[Any]]]) -> None:
    """Write the table by ``writer``; every reader that can read its types gives the same values."""
    columns, rows = table
    parsed = [parse_type(text) for text in columns]
    name = peers.new_table(columns)
    WRITERS[writer].write(peers, name, columns, rows)
    expected = [list(map(comparable, row, parsed)) for row in rows]
    for reader, way in READERS.items():
        if way.takes(columns):
            if currently_in_test_context():
                note(f"read by {reader}")
            got = [list(map(comparable, row, parsed)) for row in way.read(peers, name, columns)]
            assert got == expected, f"{writer} to {reader}, columns {columns}"


def _test(writer: str, examples: int) -> Any:
    way = WRITERS[writer]

    # Tables are small as they are made; to shrink one costs hundreds of round trips.
    phases = [Phase.explicit, Phase.reuse, Phase.generate]

    @settings(max_examples=examples, deadline=None, phases=phases, suppress_health_check=[HealthCheck.too_slow])
    @given(table=tables(arrow=way.arrow, pyodps_arrow=way.pyodps_arrow))
    def run(peers: Peers, table: tuple[list[str], list[list[Any]]]) -> None:
        check(peers, writer, table)

    return run


@pytest.mark.parametrize("writer", WRITERS)
def test_what_one_peer_writes_all_read(peers: Peers, writer: str) -> None:
    _test(writer, _EXAMPLES)(peers=peers)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("writer", WRITERS)
def test_what_one_peer_writes_all_read_in_many_tables(peers: Peers, writer: str) -> None:
    _test(writer, _MANY_EXAMPLES)(peers=peers)
