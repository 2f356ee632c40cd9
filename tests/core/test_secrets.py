"""Keys and tokens never show: not in a log line at any level, an error, a repr, nor a pickle."""

from __future__ import annotations

import logging
import pickle
import traceback
from collections.abc import Callable

import pytest

from aiopaiio import Client, errors
from aiopaiio.local import Fault, LocalService, Refuse, Status

from .conftest import NUMBERED, numbered


async def test_secrets_do_not_show(
    connect: Callable[..., Client], make_table, local_service: LocalService, caplog: pytest.LogCaptureFixture
) -> None:
    path = await make_table(NUMBERED, numbered(100))
    secrets = [local_service.access_key, local_service.security_token, "a-wrong-token"]
    shown: list[str] = []
    caplog.set_level(logging.DEBUG)  # of all loggers, those of other libraries too
    async with connect(security_token=secrets[1]) as client:
        local_service.faults.add(Fault("create_download", Status(503), 1))
        local_service.faults.add(Fault("read_rows", Refuse(), 1))
        async with client.open_reader(path) as reader:
            assert len(await reader.read(200)) == 100
            shown += [repr(client), repr(reader), repr(vars(client)), repr(client._config)]
        upload = await client.create_upload(path, slice_count=1)
        shown += [repr(upload), repr(pickle.dumps(upload))]
        async with client.open_writer(path, upload=upload) as writer:
            shown.append(repr(writer))
            await writer.write((1, "text"), indices=[0, 2])
    async with connect(security_token=secrets[2]) as client:
        with pytest.raises(errors.AuthorizationError) as raised:
            await client.open_reader(path)
        shown += ["".join(traceback.format_exception(raised.value)), repr(pickle.dumps(raised.value))]
        shown += [repr(raised.value.args), repr(vars(raised.value))]
    for holder in (client, client._config):
        with pytest.raises(errors.UsageError, match="does not pickle"):
            pickle.dumps(holder)
    assert caplog.records
    shown += [f"{record.getMessage()} {record.args}" for record in caplog.records]
    for secret in secrets:
        assert not [text for text in shown if secret in text]
