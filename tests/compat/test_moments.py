"""TIMESTAMP, DATETIME and DATE in every year and time zone: exactly as written, or an error that says what to do."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta, timezone
from typing import Any, Literal
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pytest

import aiopaiio
import paiio
from aiopaiio.schema import Column, arrow_schema
from paiio._bridge import bridge

from .conftest import Tables
from .faces import FACES, face_of

Form = Literal["arrow", "record"]

WITHIN_NANOSECONDS = [
    datetime(1970, 1, 1),
    datetime(1969, 12, 31, 23, 59, 59, 999_999),
    np.datetime64("1969-12-31T23:59:59.999999999"),
    np.datetime64("1677-09-21T00:12:43.145224193"),
    np.datetime64("2262-04-11T23:47:16.854775807"),
]
BEYOND_NANOSECONDS = [datetime.min, datetime(1582, 10, 10, 1, 2, 3, 4), datetime(2263, 1, 1), datetime.max]


@pytest.fixture(params=["UTC", "Asia/Shanghai", "America/New_York"])
def here(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The program's own time zone."""
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


async def _write(path: str, rows: list[Any], form: Form) -> None:
    async with aiopaiio.Client() as client, client.open_writer(path, wire_form=form) as writer:
        await writer.write(rows)


async def _batches(path: str, **options: Any) -> list[Any]:
    async with aiopaiio.Client() as client, client.open_reader(path, **options) as reader:
        return [batch async for batch in reader]


def write(path: str, rows: list[Any], form: Form) -> None:
    """Write through the asynchronous face, which has the forms."""
    bridge().call(_write, path, rows, form)


def batches(path: str, **options: Any) -> list[Any]:
    found: list[Any] = bridge().call(lambda: _batches(path, **options))
    return found


@pytest.mark.parametrize("kind", ["timestamp", "timestamp_ntz"])
@pytest.mark.parametrize("form", ["arrow", "record"])
def test_moments_within_nanoseconds(tables: Tables, kind: str, form: Form) -> None:
    path = tables.new(f"a {kind}, b array<{kind}>")
    write(path, [(moment, [moment, None]) for moment in WITHIN_NANOSECONDS], form)
    rows = tables.rows(path)
    assert [row[0] for row in rows] == WITHIN_NANOSECONDS
    assert [row[1] for row in rows] == [[moment, None] for moment in WITHIN_NANOSECONDS]
    assert [type(row[0]) for row in rows] == [datetime] * 2 + [np.datetime64] * 3


@pytest.mark.parametrize("kind", ["timestamp", "timestamp_ntz"])
def test_moments_beyond_nanoseconds_take_the_record_form(tables: Tables, kind: str) -> None:
    path = tables.new(f"a {kind}")
    with paiio.TableWriter(path) as writer:
        writer.write([(moment,) for moment in BEYOND_NANOSECONDS])
    # A block that cannot go in the form asked for goes in the other one.
    write(path, [(moment,) for moment in BEYOND_NANOSECONDS], "arrow")
    assert [row[0] for row in tables.rows(path)] == BEYOND_NANOSECONDS * 2
    with pytest.raises(aiopaiio.TimestampRangeError, match="wide_timestamps=True"):
        batches(path)
    seconds = [(moment - datetime(1970, 1, 1)) // timedelta(seconds=1) for moment in BEYOND_NANOSECONDS * 2]
    wide = [cell for batch in batches(path, wide_timestamps=True) for cell in batch["a"].to_pylist()]
    assert [cell["sec"] for cell in wide] == seconds


def test_rows_before_a_moment_beyond_nanoseconds_are_delivered(tables: Tables) -> None:
    path = tables.new("a timestamp, b bigint")
    write(path, [(BEYOND_NANOSECONDS[0] if i == 2550 else datetime(2024, 1, 1), i) for i in range(4000)], "record")

    async def numbers_read() -> list[int]:
        numbers: list[int] = []
        async with aiopaiio.Client() as client, client.open_reader(path) as reader:
            with pytest.raises(aiopaiio.TimestampRangeError):
                async for batch in reader:
                    numbers += batch["b"].to_pylist()
        return numbers

    assert bridge().call(numbers_read) == list(range(2550))


OUTSIDE_OF_PYTHONS_YEARS = [
    np.datetime64("10000-01-01T00:00:00.000001", "us"),
    np.datetime64("-0044-03-15T12:00:00", "us"),
    np.datetime64("29000-12-31T00:00:00", "us"),
]


@pytest.mark.parametrize("face_name", FACES)
def test_moments_before_the_year_1_and_after_9999(tables: Tables, face_name: str) -> None:
    path = tables.new("a timestamp, b datetime, c date, d array<timestamp_ntz>")
    face = face_of(face_name)
    expected = [
        (moment, int(moment.astype("M8[ms]").astype(np.int64)), moment.astype("M8[D]"), [moment, None])
        for moment in OUTSIDE_OF_PYTHONS_YEARS
    ]
    with face.TableWriter(path) as writer:
        writer.write([(cells[0], *cells[1:]) for cells in expected])
        writer.write((datetime(2024, 1, 1), None, None, None))
    with face.TableReader(path) as reader:
        rows = list(reader.read(4))
    assert rows == [*expected, (datetime(2024, 1, 1), None, None, None)]
    # What was read can be written.
    with face.TableWriter(path) as writer:
        writer.write(rows)
    assert tables.rows(path) == rows * 2


@pytest.mark.parametrize("face_name", FACES)
def test_nanoseconds_in_every_year(tables: Tables, face_name: str) -> None:
    path = tables.new("a timestamp, b bigint, c map<timestamp_ntz,timestamp>")
    wide = arrow_schema([Column("a", "timestamp"), Column("b", "bigint")], wide_timestamps=True)
    years = [datetime(1, 1, 1), datetime(1600, 1, 1), datetime(2300, 1, 1), datetime(9999, 12, 31)]
    seconds = [-62_167_219_200, *((year - datetime(1970, 1, 1)) // timedelta(seconds=1) for year in years), 10**12]
    rows = [{"a": {"sec": second, "nano": 999_999_999}, "b": number} for number, second in enumerate(seconds)]

    async def write() -> None:
        async with aiopaiio.Client() as client, client.open_writer(path) as writer:
            await writer.write_batch(pa.RecordBatch.from_pylist(rows, schema=wide))

    bridge().call(write)
    face = face_of(face_name)
    with face.TableReader(path) as reader:
        found = reader.read(len(seconds))
    moments = [aiopaiio.WideTimestamp(second, 999_999_999) for second in seconds]
    assert list(found) == [(moment, number, None) for number, moment in enumerate(moments)]
    with face.TableWriter(path) as writer:
        writer.write([(moment, 7, {moment: moment}) for moment in moments], [0, 1, 2])
    assert tables.rows(path)[len(seconds) :] == [(moment, 7, {moment: moment}) for moment in moments]
    assert [cell["nano"] for batch in batches(path, wide_timestamps=True) for cell in batch["a"].to_pylist()] == [
        999_999_999
    ] * (2 * len(seconds))


ZONES: list[Callable[[datetime], datetime]] = [
    lambda utc: utc,  # naive: it is UTC, wherever the program runs
    lambda utc: utc.replace(tzinfo=timezone.utc),
    lambda utc: utc.replace(tzinfo=timezone.utc).astimezone(timezone(timedelta(hours=-9, minutes=-30))),
    lambda utc: utc.replace(tzinfo=timezone.utc).astimezone(ZoneInfo("Asia/Kolkata")),
    # Half past one in the morning comes twice on this day.
    lambda utc: utc.replace(tzinfo=timezone.utc).astimezone(ZoneInfo("Europe/Berlin")),
]


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("form", ["arrow", "record"])
def test_time_zones(tables: Tables, form: Form) -> None:
    path = tables.new("a timestamp, b datetime, c timestamp_ntz")
    moments = [
        datetime(2024, 10, 27, 0, 30),
        datetime(2024, 10, 27, 1, 30),
        datetime(1950, 6, 1, 12),
        datetime(1970, 1, 1),
    ]
    cells = [zone(moment) for moment in moments for zone in ZONES]
    write(path, [(cell, cell, cell) for cell in cells], form)
    expected = [moment for moment in moments for _ in ZONES]
    milliseconds = [(moment - datetime(1970, 1, 1)) // timedelta(milliseconds=1) for moment in expected]
    rows = tables.rows(path)
    assert [row[0] for row in rows] == expected
    assert [row[1] for row in rows] == milliseconds
    assert [row[2] for row in rows] == expected
    assert all(row[0].tzinfo is None for row in rows)


@pytest.mark.usefixtures("here")
def test_dates_know_no_zone(tables: Tables) -> None:
    path = tables.new("a date")
    days = [date.min, date(1582, 10, 10), date(1969, 12, 31), date(2024, 2, 29), date.max]
    for form in ("arrow", "record"):
        write(path, [(day,) for day in days], form)
    assert [row[0] for row in tables.rows(path)] == days * 2
