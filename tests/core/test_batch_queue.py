"""What the two ends of a queue of batches learn of each other."""

from __future__ import annotations

import asyncio

import pyarrow as pa
import pytest

from aiopaiio import errors
from aiopaiio.batch_queue import BatchQueue, ReceiverLeft

BATCH = pa.record_batch({"a": [1, 2]})


async def waiting(queue: BatchQueue) -> asyncio.Task[pa.RecordBatch | None]:
    """A receiver that waits already."""
    task = asyncio.create_task(queue.receive())
    await asyncio.sleep(0)
    return task


async def test_a_queue_left_at_its_end_has_ended_for_whoever_waits() -> None:
    queue = BatchQueue(1000)
    await queue.send(BATCH, 16)
    assert await queue.receive() is BATCH
    receiving = await waiting(queue)
    queue.end()
    assert queue.drained
    queue.leave()
    assert await receiving is None
    assert await queue.receive() is None


async def test_a_queue_left_before_its_end_is_closed_for_whoever_waits() -> None:
    queue = BatchQueue(1000)
    receiving = await waiting(queue)
    queue.leave()
    queue.end()
    with pytest.raises(errors.ClosedError):
        await receiving


async def test_the_sender_is_told_that_the_receiver_has_left_and_may_still_fail() -> None:
    queue = BatchQueue(16)
    await queue.send(BATCH, 16)
    sending = asyncio.create_task(queue.send(BATCH, 16))
    await asyncio.sleep(0)
    queue.leave()
    with pytest.raises(ReceiverLeft):
        await sending
    with pytest.raises(ReceiverLeft):
        await queue.send(BATCH, 16)
    queue.fail(ValueError("too late"))
    with pytest.raises(errors.ClosedError):
        await queue.receive()
