"""Read, transform, write: a preprocessing job inside an event loop that stays free for other work.

    python examples/preprocess.py                               generated payments of 4 days, nothing else needed
    python examples/preprocess.py odps://P/tables/PAYMENTS odps://P/tables/CLEAN --days 20240101,20240102
        tables of yours, found by ODPS_CONFIG_FILE_PATH; both partitioned by ds, columns as in PAYMENTS and CLEAN below

Several days are worked on at once. Of each, batches are downloaded ahead while earlier ones are transformed by a worker
thread and uploaded behind: at no time is a whole day in memory. A day becomes visible when all of it is written; when
anything fails, nothing of that day does.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
from collections.abc import Sequence

import anyio
import anyio.to_thread
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

import aiopaiio
from trial_service import PROJECT, trial_service

PAYMENTS = "customer BIGINT, country STRING, paid_at DATETIME, amount DOUBLE"
CLEAN = "customer BIGINT, country STRING, hour BIGINT, log_amount DOUBLE"

DAYS_AT_ONCE = 3


def clean(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Payments without an amount, or of nothing, are left out; the rest is made fit for learning."""
    kept = batch.filter(pc.greater(batch["amount"], 0.0))  # a NULL is not greater: it is left out too
    return pa.record_batch(
        {
            "customer": kept["customer"],
            "country": pc.utf8_upper(pc.utf8_trim_whitespace(kept["country"])),
            "hour": pc.hour(kept["paid_at"]),
            "log_amount": pc.log1p(kept["amount"]),
        }
    )


async def preprocess_day(client: aiopaiio.Client, source: str, target: str, day: str) -> None:
    """One partition: overwritten, so that the job can be run again."""
    rows_in = rows_out = 0
    async with (
        client.open_reader(f"{source}/ds={day}", "customer,country,paid_at,amount") as reader,
        client.open_writer(f"{target}/ds={day}", overwrite=True) as writer,
    ):
        async for batch in reader:
            cleaned = await anyio.to_thread.run_sync(clean, batch)
            await writer.write_batch(cleaned)
            rows_in += batch.num_rows
            rows_out += cleaned.num_rows
    print(f"{day}: {rows_in} rows read, {rows_out} rows written", flush=True)


async def preprocess(client: aiopaiio.Client, source: str, target: str, days: Sequence[str]) -> None:
    """All days, a few at a time. The first failure stops the days that are still under way, and is raised."""
    limiter = anyio.CapacityLimiter(DAYS_AT_ONCE)

    async def one(day: str) -> None:
        async with limiter:
            await preprocess_day(client, source, target, day)

    async with anyio.create_task_group() as group:
        for day in days:
            group.start_soon(one, day)


# ---------------------------------------------------------------------------------------------------- the trial tables

TRIAL_SOURCE = f"odps://{PROJECT}/tables/payments"
TRIAL_TARGET = f"odps://{PROJECT}/tables/clean_payments"
TRIAL_DAYS = ("20240101", "20240102", "20240103", "20240104")


async def make_trial_tables(client: aiopaiio.Client, rows_each: int) -> None:
    """Payments as they come in: amounts missing or zero, countries in every spelling."""
    await client.execute_sql(f"CREATE TABLE payments ({PAYMENTS}) PARTITIONED BY (ds STRING)")
    await client.execute_sql(f"CREATE TABLE clean_payments ({CLEAN}) PARTITIONED BY (ds STRING)")
    random = np.random.default_rng(3)
    for day in TRIAL_DAYS:
        amounts = random.gamma(1.5, 30.0, rows_each).round(2)
        missing = random.random(rows_each) < 0.1
        midnight = np.datetime64(f"{day[:4]}-{day[4:6]}-{day[6:]}", "ms")
        batch = pa.record_batch(
            {
                "customer": random.integers(1, 5000, rows_each),
                "country": random.choice(["de", " DE", "Ng", "pe ", "JP"], rows_each).tolist(),
                "paid_at": midnight + np.sort(random.integers(0, 86_400_000, rows_each)).astype("timedelta64[ms]"),
                "amount": pa.array(amounts, mask=missing),
            }
        )
        async with client.open_writer(f"{TRIAL_SOURCE}/ds={day}") as writer:
            await writer.write_batch(batch)


async def run(options: argparse.Namespace) -> None:
    async with aiopaiio.Client() as client:
        if not options.source:
            await make_trial_tables(client, options.trial_rows)
        await preprocess(
            client, options.source or TRIAL_SOURCE, options.target or TRIAL_TARGET, options.days.split(",")
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", nargs="?", help="table to read: odps://PROJECT/tables/TABLE")
    parser.add_argument("target", nargs="?", help="table to write")
    parser.add_argument("--days", default=",".join(TRIAL_DAYS), help="partitions, comma-separated (%(default)s)")
    parser.add_argument("--trial-rows", type=int, default=50_000, help="of each generated day (%(default)s)")
    options = parser.parse_args()
    if bool(options.source) != bool(options.target):
        parser.error("name both tables, or none")
    with contextlib.nullcontext() if options.source else trial_service():
        asyncio.run(run(options))


if __name__ == "__main__":
    main()
