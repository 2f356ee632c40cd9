"""Every way to write a table and every way to read one, PyODPS's and ours, over the same plain values."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from aiopaiio.odps_types import parse_type
from aiopaiio.reader import WireForm
from aiopaiio.schema import arrow_type
from paiio import python_io

from .conftest import Peers, path_of
from .plain_values import as_plain, for_aiopaiio, for_arrow, for_pyodps

__all__ = ["READERS", "WRITERS", "Reader", "Writer", "arrow_rows"]

Types = Sequence[str]
Rows = Sequence[Sequence[Any]]
"""Plain values, row by row."""

_FEW_ROWS = 3
# PyODPS has no Arrow type for JSON, and a wrong one for whole decimals: see plain_values.types.
_NOT_IN_PYODPS_ARROW = re.compile(r"json|decimal\(\d+,0\)")


@dataclass(frozen=True)
class Writer:
    """Writes ``rows`` into the table, and says which types it can write."""

    write: Callable[[Peers, str, Types, Rows], None]
    arrow: bool = False
    pyodps_arrow: bool = False


@dataclass(frozen=True)
class Reader:
    """Reads the table as plain values, and says which types it can read."""

    read: Callable[[Peers, str, Types], list[list[Any]]]
    arrow: bool = False
    pyodps_arrow: bool = False

    def takes(self, types: Types) -> bool:
        """Whether it can read columns of these types."""
        if self.pyodps_arrow and any(_NOT_IN_PYODPS_ARROW.search(text) for text in types):
            return False
        return not (self.arrow and "interval_year_month" in types)


def arrow_rows(types: Types, rows: Rows) -> pa.RecordBatch:
    """``rows`` as Arrow."""
    arrays = [
        pa.array([for_arrow(row[number], parse_type(text)) for row in rows], arrow_type(text))
        for number, text in enumerate(types)
    ]
    return pa.record_batch(arrays, names=[f"c{number}" for number in range(len(types))])


# ------------------------------------------------------------------------------------------------------------- writing


def _cells(rows: Rows, types: Types, convert: Callable[..., Any]) -> list[tuple[Any, ...]]:
    parsed = [parse_type(text) for text in types]
    return [tuple(map(convert, row, parsed)) for row in rows]


def _pyodps_records(peers: Peers, table: str, types: Types, rows: Rows) -> None:
    with peers.odps.get_table(table).open_writer() as writer:
        writer.write([list(row) for row in _cells(rows, types, for_pyodps)])


def _pyodps_arrow(peers: Peers, table: str, types: Types, rows: Rows) -> None:
    with peers.odps.get_table(table).open_writer(arrow=True) as writer:
        writer.write(arrow_rows(types, rows))


def _aiopaiio_rows(wire_form: WireForm) -> Callable[[Peers, str, Types, Rows], None]:
    async def write(peers: Peers, table: str, cells: list[Any]) -> None:
        async with peers.client.open_writer(path_of(table), wire_form=wire_form) as writer:
            await writer.write(cells)

    return lambda peers, table, types, rows: peers.wait(write, peers, table, _cells(rows, types, for_aiopaiio))


def _aiopaiio_batches(peers: Peers, table: str, types: Types, rows: Rows) -> None:
    async def write() -> None:
        async with peers.client.open_writer(path_of(table)) as writer:
            await writer.write_batch(arrow_rows(types, rows))

    peers.wait(write)


def _paiio_rows(peers: Peers, table: str, types: Types, rows: Rows) -> None:
    with python_io.TableWriter(path_of(table)) as writer:
        for cells in _cells(rows, types, for_aiopaiio):
            # A row by itself is of scalars: a tuple that begins with a list looks like many rows.
            writer.write([cells], range(len(types)))


# ------------------------------------------------------------------------------------------------------------- reading


def _plain(rows: Any, types: Types) -> list[list[Any]]:
    parsed = [parse_type(text) for text in types]
    return [list(map(as_plain, row, parsed)) for row in rows]


def _plain_batches(batches: Sequence[pa.RecordBatch], types: Types) -> list[list[Any]]:
    rows: list[Any] = []
    for batch in batches:
        rows += zip(*[column.to_pylist() for column in batch.columns], strict=True)
    return _plain(rows, types)


def _from_pyodps_records(peers: Peers, table: str, types: Types) -> list[list[Any]]:
    with peers.odps.get_table(table).open_reader(reopen=True) as reader:
        return _plain([record.values for record in reader], types)


def _from_pyodps_arrow(peers: Peers, table: str, types: Types) -> list[list[Any]]:
    session = peers.tunnel.create_download_session(table)
    with session.open_arrow_reader(0, session.count) as reader:
        return _plain_batches(list(reader), types)


def _from_aiopaiio_batches(wire_form: WireForm) -> Callable[[Peers, str, Types], list[list[Any]]]:
    async def read(peers: Peers, table: str) -> list[pa.RecordBatch]:
        async with peers.client.open_reader(path_of(table), wire_form=wire_form) as reader:
            return [batch async for batch in reader]

    return lambda peers, table, types: _plain_batches(peers.wait(read, peers, table), types)


def _from_paiio(peers: Peers, table: str, types: Types) -> list[list[Any]]:
    rows: list[Any] = []
    with python_io.TableReader(path_of(table)) as reader:
        try:
            while True:
                rows.extend(reader.read(_FEW_ROWS))
        except python_io.OutOfRangeException:
            return _plain(rows, types)


WRITERS = {
    "pyodps records": Writer(_pyodps_records),
    "pyodps arrow": Writer(_pyodps_arrow, arrow=True, pyodps_arrow=True),
    "aiopaiio rows, arrow form": Writer(_aiopaiio_rows("arrow"), arrow=True),
    "aiopaiio rows, record form": Writer(_aiopaiio_rows("record")),
    "aiopaiio batches": Writer(_aiopaiio_batches, arrow=True),
    "paiio rows": Writer(_paiio_rows),
}

READERS = {
    "pyodps records": Reader(_from_pyodps_records),
    "pyodps arrow": Reader(_from_pyodps_arrow, arrow=True, pyodps_arrow=True),
    "aiopaiio arrow form": Reader(_from_aiopaiio_batches("arrow"), arrow=True),
    "aiopaiio record form": Reader(_from_aiopaiio_batches("record")),
    "paiio": Reader(_from_paiio),
}
