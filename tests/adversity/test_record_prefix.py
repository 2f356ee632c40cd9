"""Rows of the record form are delivered while their body comes: what went before a fault stays, or is told of."""

from __future__ import annotations

from typing import Any

import anyio
import pytest
from odps.accounts import AliyunAccount

from aiopaiio import errors
from aiopaiio.local import LocalService
from aiopaiio.local.faults import Action, Fault, FlipBit, ResetAfter, ShortBody, SlowBody, Stall, Status, WrongRowCount

from .conftest import HASTY
from .expectations import COLUMNS, HANG_SECONDS, numbered, read_outcome

ROWS = numbered(40_000)
OPTIONS = {"wire_form": "record", "concurrency": 1}
BODY_BYTES = 3_000_000
"""Less than the second answer has, which brings all but the first rows, and more than the decoder gathers."""


def asked_from(local_service: LocalService, number: int) -> int:
    """The first row asked for by the request with this number among those that were tampered with."""
    return int(local_service.faults.log[number].operation.query["rowrange"].strip("()").split(",")[0])


@pytest.mark.parametrize(
    "action",
    [ShortBody(cut_at_bytes=BODY_BYTES), ShortBody(rows=30_000), FlipBit(BODY_BYTES, 3), ResetAfter(BODY_BYTES)],
    ids=lambda action: type(action).__name__,
)
async def test_rows_before_a_fault_are_not_asked_for_again(
    connect, make_table, local_service: LocalService, action: Action
) -> None:
    path = await make_table(COLUMNS, ROWS)
    local_service.faults.add(Fault("read_rows", action, 2))
    local_service.faults.add(Fault("read_rows", SlowBody(1e12), 3))  # harmless; shows in the log
    async with connect() as client:
        assert await read_outcome(client, path, ROWS, **OPTIONS) is None
    # Nearly all rows before the fault: what the decoder had gathered is not lost either.
    assert 28_000 < asked_from(local_service, 1) < 40_000


async def test_a_body_that_is_always_cut_is_read_in_parts(connect, make_table, local_service: LocalService) -> None:
    path = await make_table(COLUMNS, ROWS)
    local_service.faults.add(Fault("read_rows", ShortBody(cut_at_bytes=500_000)))
    async with connect(retry=HASTY) as client:
        assert await read_outcome(client, path, ROWS, **OPTIONS) is None


async def test_rows_come_before_their_body_has_ended(connect, make_table, local_service: LocalService) -> None:
    path = await make_table(COLUMNS, ROWS)
    local_service.faults.add(Fault("read_rows", Stall(after_bytes=BODY_BYTES), 2))
    async with connect() as client:
        with anyio.fail_after(HANG_SECONDS):
            async with client.open_reader(path, **OPTIONS) as reader:
                assert len(await reader.read_tuples(15_000)) == 15_000


@pytest.mark.parametrize("delta", [-1, 1])
async def test_an_answer_with_another_number_of_rows_proves_none(
    connect, make_table, local_service: LocalService, delta: int
) -> None:
    path = await make_table(COLUMNS, ROWS)
    local_service.faults.add(Fault("read_rows", WrongRowCount(delta), 2))
    async with connect() as client:
        error = await read_outcome(client, path, ROWS, **OPTIONS)
    assert isinstance(error, errors.UnprovenRowsError)
    assert "discard them and read again" in str(error)


@pytest.mark.usefixtures("alike_bodies")
@pytest.mark.parametrize("from_end", [1, 5, 9])
async def test_a_footer_that_contradicts_the_rows_proves_none(
    connect, make_table, local_service: LocalService, from_end: int
) -> None:
    """Each record was right, so it is not known which of them are missing, or are there twice."""
    path = await make_table(COLUMNS, ROWS)
    async with connect(retry=HASTY) as client:

        async def sent_bytes_with(*faults: Fault) -> int:
            local_service.faults.clear()
            for fault in faults:
                local_service.faults.add(fault)
            before = local_service.statistics.sent_bytes
            await read_outcome(client, path, ROWS, **OPTIONS)
            return local_service.statistics.sent_bytes - before

        second_bytes = await sent_bytes_with() - await sent_bytes_with(Fault("read_rows", Status(403), 2))
        local_service.faults.clear()
        local_service.faults.add(Fault("read_rows", FlipBit(second_bytes - from_end, 2), 2))
        error = await read_outcome(client, path, ROWS, **OPTIONS)
    assert isinstance(error, errors.UnprovenRowsError)


async def test_a_first_range_that_ends_early_is_only_its_own_end(connect, make_table) -> None:
    """Rows turn out to be much wider than was thought, and whoever reads waits for the next one already."""
    rows = numbered(8, width=1_200_000)
    path = await make_table(COLUMNS, rows)
    async with connect() as client:
        assert await read_outcome(client, path, rows, wire_form="record") is None


@pytest.mark.parametrize("wire_form", ["arrow", "record"])
@pytest.mark.parametrize("kind", [anyio.BrokenResourceError, anyio.ClosedResourceError])
async def test_an_error_of_something_closed_inside_is_no_end_of_the_read(
    connect, make_table, local_service: LocalService, wire_form: str, kind: type[Exception]
) -> None:
    class Account(AliyunAccount):
        """Signs the first range that is read, and not the second."""

        ranges = 0

        def sign_request(self, request: Any, endpoint: str, region_name: str | None = None) -> None:
            self.ranges += "rowrange" in request.url
            if self.ranges == 2:
                raise kind
            super().sign_request(request, endpoint, region_name)

    path = await make_table(COLUMNS, ROWS)
    account = Account(local_service.access_id, local_service.access_key)
    async with connect(account=account) as client:
        with anyio.fail_after(HANG_SECONDS), pytest.raises(kind):
            async with client.open_reader(path, wire_form=wire_form, concurrency=1) as reader:
                async for _ in reader:
                    pass
