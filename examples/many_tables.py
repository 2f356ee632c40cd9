"""Many tables, or many partitions, read at once: so many open, so much memory, and no more.

    python examples/many_tables.py                              6 generated tables of 4 partitions, nothing else needed
    python examples/many_tables.py odps://P/tables/A odps://P/tables/B/ds=20240101 ...
        tables of yours, found by ODPS_CONFIG_FILE_PATH

Prints what came of each, and the average of every DOUBLE column over all of them.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
from collections import Counter, defaultdict
from collections.abc import Sequence

import anyio
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

import aiopaiio
from trial_service import PROJECT, trial_service


async def read_all(paths: Sequence[str], *, tables_at_once: int, memory_limit_bytes: int) -> None:
    """Go through the rows of all tables as they come, and print what was seen."""
    rows: Counter[str] = Counter()
    sums: dict[str, float] = defaultdict(float)
    counts: Counter[str] = Counter()
    async with aiopaiio.Client() as client:
        # Batches of different tables come mixed, those of one table in its row order. However many paths there are,
        # at most tables_at_once are open and all that waits stays within memory_limit_bytes.
        batches = client.read_tables(paths, tables_at_once=tables_at_once, memory_limit_bytes=memory_limit_bytes)
        async for path, batch in batches:
            rows[path] += batch.num_rows
            for field, column in zip(batch.schema, batch.columns, strict=True):
                if pa.types.is_float64(field.type):
                    sums[field.name] += pc.sum(column).as_py() or 0.0
                    counts[field.name] += len(column) - column.null_count
    for path in sorted(rows):
        print(f"{path}: {rows[path]} rows")
    print(f"total: {rows.total()} rows of {len(rows)} tables and partitions")
    for name in sorted(counts):
        print(f"average {name}: {sums[name] / max(counts[name], 1):.3f}")


# ---------------------------------------------------------------------------------------------------- the trial tables

STORES = ("berlin", "lagos", "lima", "osaka", "oslo", "pune")
DAYS = ("20240101", "20240102", "20240103", "20240104")
WRITERS_AT_ONCE = 4


async def make_trial_tables(rows_each: int) -> list[str]:
    """One table of sales a store, one partition a day, all partitions written concurrently."""
    paths = [f"odps://{PROJECT}/tables/sales_{store}/ds={day}" for store in STORES for day in DAYS]
    limiter = anyio.CapacityLimiter(WRITERS_AT_ONCE)
    async with aiopaiio.Client() as client:
        for store in STORES:
            await client.execute_sql(
                f"CREATE TABLE sales_{store} (receipt BIGINT, amount DOUBLE) PARTITIONED BY (ds STRING)"
            )

        async def write(path: str, seed: int) -> None:
            amounts = np.random.default_rng(seed).gamma(2.0, 10.0, rows_each)
            async with limiter, client.open_writer(path) as writer:
                await writer.write_batch(pa.record_batch({"receipt": np.arange(rows_each), "amount": amounts}))

        async with anyio.create_task_group() as group:
            for seed, path in enumerate(paths):
                group.start_soon(write, path, seed)
    return paths


async def run(options: argparse.Namespace) -> None:
    paths = options.table or await make_trial_tables(options.trial_rows)
    await read_all(paths, tables_at_once=options.tables_at_once, memory_limit_bytes=options.memory_mb << 20)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", nargs="*", help="odps://PROJECT/tables/TABLE[/KEY=VALUE...]")
    parser.add_argument("--tables-at-once", type=int, default=8, help="(%(default)s)")
    parser.add_argument("--memory-mb", type=int, default=128, help="for all of them together (%(default)s)")
    parser.add_argument("--trial-rows", type=int, default=20_000, help="of each generated partition (%(default)s)")
    options = parser.parse_args()
    with contextlib.nullcontext() if options.table else trial_service():
        asyncio.run(run(options))


if __name__ == "__main__":
    main()
