"""Time zones: PyODPS in some zone and this library, which knows UTC alone, mean the same instants."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pandas as pd
import pytest
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st
from odps.config import option_context

from paiio import python_io

from .conftest import Peers, path_of

pytestmark = pytest.mark.filterwarnings("ignore::Warning:odps", "ignore::Warning:pandas")

ZONES = ["UTC", "Asia/Shanghai", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe"]
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MILLISECOND = timedelta(milliseconds=1)

moments = st.datetimes(datetime(1930, 1, 1), datetime(2200, 1, 1), timezones=st.just(timezone.utc)).map(
    lambda moment: moment.replace(microsecond=moment.microsecond // 1000 * 1000)
)


def in_utc(moments: list[datetime]) -> list[datetime]:
    return [moment.astimezone(timezone.utc) for moment in moments]


@pytest.mark.parametrize("zone", ZONES)
def test_instants_of_pyodps_in_a_zone(peers: Peers, zone: str) -> None:
    # The hour that New York's clocks show twice.
    @example([datetime(2020, 11, 1, hour, 30, tzinfo=timezone.utc) for hour in (4, 5, 6, 7)])
    @settings(max_examples=5, deadline=None, phases=[Phase.explicit, Phase.generate])
    @given(st.lists(moments, min_size=1, max_size=20))
    def check(instants: list[datetime]) -> None:
        table = peers.new_table(["datetime", "timestamp"])
        made = peers.odps.get_table(table)
        local = [instant.astimezone(ZoneInfo(zone)) for instant in instants]
        with option_context({"local_timezone": zone}):
            with made.open_writer() as writer:
                writer.write([[moment, pd.Timestamp(moment)] for moment in local])
            with python_io.TableReader(path_of(table)) as reader:
                rows = list(reader.read(len(local)))
            with python_io.TableWriter(path_of(table)) as own_writer:
                own_writer.write([(moment, moment) for moment in local], [0, 1])
            with made.open_reader(reopen=True) as records:
                theirs = [record.values for record in records]
            with made.open_reader(reopen=True, arrow=True) as batches:
                columns = batches.read_all().to_pydict()
        assert rows == [((instant - _EPOCH) // _MILLISECOND, instant.replace(tzinfo=None)) for instant in instants]
        # In UTC, because Python finds an instant of such an hour unequal to itself in another zone.
        assert [in_utc(row) for row in theirs] == [[instant, instant] for instant in instants] * 2
        assert in_utc(columns["c0"]) == in_utc(columns["c1"]) == instants * 2

    check()
