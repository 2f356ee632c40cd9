"""The delay to expect of every flight, by a Keras model, written into a table of its own.

    python examples/predict_flights.py                               a service of its own, and a model trained for that
    python examples/predict_flights.py \\
        odps://PROJECT/tables/FLIGHTS odps://PROJECT/tables/DELAYS \\
        --model FILE.keras                                           your service, found by ODPS_CONFIG_FILE_PATH, and
                                                                     what examples/train_flights.py --save kept

Reads the flights with TableRecordDataset, in the table's order, and writes a row for each with TableWriter: its
number in the table, and minutes. The rows become visible all at once, when the last is written.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

import aiopaiio
import paiio
from train_flights import TRIAL_TABLE, as_inputs, flights_of, train, write_flights
from trial_service import PROJECT, trial_service

BATCH_ROWS = 8192
TRIAL_DELAYS = f"odps://{PROJECT}/tables/delays"


def predict(model: tf.keras.Model, flights: str, delays: str) -> tuple[int, float]:
    """Write a row for each flight; how many, and by how many minutes they are wrong on average."""
    row, errors = 0, []
    with paiio.python_io.TableWriter(delays) as writer:
        for features, late in flights_of(flights).batch(BATCH_ROWS).map(as_inputs).prefetch(2):
            minutes = model.predict_on_batch(features).astype(np.float64) * 60
            writer.write(list(zip(range(row, row + len(minutes)), minutes.tolist(), strict=True)), indices=[0, 1])
            row += len(minutes)
            errors.append(np.abs(minutes - late))
    # Flights that never arrived have no delay to compare with.
    return row, float(np.nanmean(np.concatenate(errors)))


async def make_trial_tables(rows: int | None) -> None:
    await write_flights(rows)
    async with aiopaiio.Client() as client:
        await client.execute_sql("CREATE TABLE delays (row BIGINT, minutes DOUBLE)", PROJECT)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("flights", nargs="?", help="odps://PROJECT/tables/FLIGHTS[/month=2013-01[&month=...]]")
    parser.add_argument("delays", nargs="?", help="a table (row BIGINT, minutes DOUBLE)")
    parser.add_argument("--model", metavar="FILE.keras", help="(default: train one)")
    parser.add_argument("--rows", type=int, help="so many flights, when the table is made here (default: all)")
    options = parser.parse_args(arguments)
    if (options.flights is None) != (options.delays is None):
        parser.error("flights and delays: both tables, or none of them")
    tf.keras.utils.set_random_seed(1)
    with contextlib.nullcontext() if options.flights else trial_service():
        if not options.flights:
            asyncio.run(make_trial_tables(options.rows))
        flights, delays = options.flights or TRIAL_TABLE, options.delays or TRIAL_DELAYS
        model = tf.keras.models.load_model(options.model) if options.model else train(flights, epochs=2)[0]
        count, error_minutes = predict(model, flights, delays)
        print(f"{count:,} delays written, wrong by {error_minutes:.0f} minutes on average")
        with paiio.python_io.TableReader(delays) as reader:
            print(f"{reader.get_row_count():,} rows in {delays}, the first: {reader.read(1)[0]}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
