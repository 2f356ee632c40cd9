"""A reader that is left alone for long - a model is evaluated, a session runs out - goes on where it was."""

from __future__ import annotations

import os
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import aiopaiio
from aiopaiio.local import (
    ExpireSession,
    Fault,
    FlipBit,
    Limits,
    LocalService,
    Refuse,
    ResetAfter,
    ShortBody,
    Status,
)

from .conftest import Tables, running
from .faces import FACES, Face, face_of

ROWS = [(number, f"row {number}", os.urandom(200_000)) for number in range(300)]
LIMIT_SECONDS = 60


@pytest.fixture(params=["paiio", "common_io", "tf.python_io"])
def face(request: pytest.FixtureRequest) -> Face:
    return face_of(request.param)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a service, with a table of 60 MB that was last modified a minute ago."""
    folder = tmp_path_factory.mktemp("long") / "root"
    with running(folder) as service:
        Tables(service).new("id bigint, name string, image binary", ROWS, name="images")
    with closing(sqlite3.connect(folder / "metadata.sqlite3")) as database, database:
        for table in ("tables", "partitions"):
            database.execute(f"UPDATE {table} SET modified = modified - 60, ddl_modified = ddl_modified - 60")
    return folder


def names(face: Face, rows: Any) -> list[Any]:
    return [row[1] if isinstance(row[1], str) else row[1].decode() for row in rows]


PATH = "odps://demo/tables/images"
NAMES = [name for _, name, _ in ROWS]


def test_connections_that_the_service_closes_while_the_reader_is_idle(face: Face, root: Path) -> None:
    with running(root, Limits(idle_close_seconds=0.05)) as service:
        reader = face.TableReader(PATH, num_threads=2, capacity=2)
        found = names(face, reader.read(3))
        for pause in range(2):
            until_no_transfer_is_left(service)
            found += names(face, reader.read(5 + pause))
        found += names(face, reader)
        reader.close()
        assert found == NAMES
        # It was dropped, and asked for the rest.
        assert service.faults.requests["read_rows"] >= 2


def until_no_transfer_is_left(service: LocalService) -> None:
    """The downloads stand still because nobody takes rows; the service drops them one after the other."""
    ends = time.monotonic() + LIMIT_SECONDS
    while service._running.quotas._transfers:
        assert time.monotonic() < ends
        time.sleep(0.01)


def test_a_session_that_expires(face: Face, root: Path, caplog: pytest.LogCaptureFixture) -> None:
    with running(root) as service:
        reader = face.TableReader(PATH, num_threads=1, capacity=2, slice_id=1, slice_count=2)
        found = names(face, reader.read(3))
        for _ in range(2):
            service.faults.add(Fault("read_rows", ExpireSession(), 1))
            # Back to the start, so that rows are asked for again.
            reader.seek(-3) if face.plain else reader.seek(0)
            found = names(face, reader.read(3))
        found += names(face, reader)
        reader.close()
        assert found == NAMES[150:]
        assert len(service.faults.log) == 2
    assert "expired; the table is unchanged" in caplog.text


FAULTS = [
    Status(500, "InternalServerError"),
    Refuse(),
    ResetAfter(9),
    ShortBody(rows=3),
    ShortBody(cut_at_bytes=0),
    FlipBit(1000),
]


@pytest.mark.parametrize("face", ["common_io"], indirect=True)
def test_programs_that_take_any_exception_for_the_end(face: Face, root: Path) -> None:
    with running(root) as service:
        reader = face.TableReader(PATH, num_threads=2, slice_id=0, slice_count=3)
        for number, action in enumerate(FAULTS, 1):
            service.faults.add(Fault("read_rows", action, number))
        found, end = [], None
        try:
            while True:
                found += names(face, reader.read(7, allow_smaller_final_batch=True))
        except Exception as error:
            end = error
            reader.close()
        assert found == NAMES[:100]
        assert isinstance(end, face.OutOfRangeException)
        assert len(service.faults.log) == len(FAULTS)


def test_a_session_that_expires_after_a_change_of_the_table_is_no_end(face: Face, root: Path) -> None:
    with running(root) as service:
        tables = Tables(service)
        path = tables.new("a bigint", [(number,) for number in range(10)], name=f"changed_{FACES.index(face.name)}")
        reader = face.TableReader(path)
        with face.TableWriter(path) as writer:
            writer.write([(10,)], [0])
        service.faults.add(Fault("read_rows", ExpireSession()))
        with pytest.raises(aiopaiio.TableModified) as caught:
            reader.read(5)
        assert not isinstance(caught.value, EOFError)
        reader.close()
