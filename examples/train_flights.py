"""How late will a flight arrive? A Keras model, trained straight from a table of a year's flights from New York City.

    python examples/train_flights.py                                 a service of its own, with all 336,776 flights
    python examples/train_flights.py odps://PROJECT/tables/FLIGHTS   your service, found by ODPS_CONFIG_FILE_PATH; the
                                                                     table as examples/flights.py writes it, all months
                                                                     (.../month=2013-01&month=2013-02&...)

Reads the table with TableRecordDataset, shuffled and in batches, two epochs; then reads it once more in order, predicts
the delay of every flight, and writes the predictions into a table with TableWriter.
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
from flights import COLUMNS, PARTITION_COLUMN, SCHEMA, load_flights
from trial_service import PROJECT, trial_service

FEATURES = ("dep_delay", "air_time", "distance", "hour", "carrier", "origin", "dest")
LABEL = "arr_delay"
TEXTS = ("carrier", "origin", "dest")
BATCH_ROWS = 1024
SHUFFLE_ROWS = 100_000
BUCKETS = 256

TRIAL_TABLE = f"odps://{PROJECT}/tables/flights"
PREDICTIONS = f"odps://{PROJECT}/tables/predicted_delays"


def flights_of(table: str) -> tf.data.Dataset:
    """The columns that the model needs, in the table's order; a NaN stands for a delay nobody knows."""
    defaults = ["" if name in TEXTS else 0.0 for name in FEATURES]
    # Whole numbers, too, come as the type of their default.
    return paiio.data.TableRecordDataset(
        table, record_defaults=[*defaults, np.float32("nan")], selected_cols=",".join((*FEATURES, LABEL))
    )


def as_inputs(*columns: tf.Tensor) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
    """A batch of columns to what the model takes: features by name, and the label."""
    *features, label = columns
    return dict(zip(FEATURES, features, strict=True)), label


def known_only(features: dict[str, tf.Tensor], label: tf.Tensor) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
    """Without the flights that never arrived, and delays in hours."""
    arrived = tf.logical_not(tf.math.is_nan(label))
    return {name: tf.boolean_mask(values, arrived) for name, values in features.items()}, label[arrived] / 60


def make_model() -> tf.keras.Model:
    """Numbers scaled by hand, texts hashed and embedded, two layers; predicts hours."""
    inputs, parts = {}, []
    scales = {"dep_delay": 60.0, "air_time": 150.0, "distance": 1000.0, "hour": 12.0}
    for name in FEATURES:
        if name in TEXTS:
            inputs[name] = tf.keras.Input((), name=name, dtype=tf.string)
            number = tf.keras.layers.Hashing(BUCKETS)(inputs[name])
            parts.append(tf.keras.layers.Embedding(BUCKETS, 4)(number))
        else:
            inputs[name] = tf.keras.Input((), name=name)
            parts.append(tf.keras.layers.Reshape((1,))(inputs[name] / scales[name]))
    joined = tf.keras.layers.Concatenate()(parts)
    hidden = tf.keras.layers.Dense(32, activation="relu")(joined)
    model = tf.keras.Model(inputs, tf.keras.layers.Reshape(())(tf.keras.layers.Dense(1)(hidden)))
    model.compile(optimizer=tf.keras.optimizers.Adam(0.003), loss="mse")
    return model


def train(table: str, epochs: int) -> tuple[tf.keras.Model, list[float]]:
    """The model, and the loss of every epoch."""
    model, losses = make_model(), []
    shuffled = flights_of(table).shuffle(SHUFFLE_ROWS, seed=1).batch(BATCH_ROWS).prefetch(2)
    batches = shuffled.map(as_inputs).map(known_only)
    for epoch in range(1, epochs + 1):
        loss = total = 0.0
        model.reset_metrics()
        for features, label in batches:
            loss = float(model.train_on_batch(features, label))
            total += len(label)
        losses.append(loss)
        print(f"epoch {epoch}: {total:,.0f} flights, loss {loss:.4f}", flush=True)
    return model, losses


def predict(model: tf.keras.Model, table: str, predictions: str) -> int:
    """Predict all flights and write a row for each: its number in the table, and the delay in minutes."""
    row = 0
    with paiio.python_io.TableWriter(predictions) as writer:
        for features, _ in flights_of(table).batch(8192).map(as_inputs).prefetch(2):
            minutes = model.predict_on_batch(features).astype(np.float64) * 60
            numbers = range(row, row + len(minutes))
            writer.write(list(zip(numbers, minutes.tolist(), strict=True)), indices=[0, 1])
            row += len(minutes)
    return row


# ----------------------------------------------------------------------------------------------------------- the tables


async def execute(*statements: str) -> None:
    async with aiopaiio.Client() as client:
        for statement in statements:
            await client.execute_sql(statement, PROJECT)


async def write_flights(rows: int | None) -> None:
    columns = ", ".join(f"{name} {kind}" for name, kind in COLUMNS.items())
    await execute(f"CREATE TABLE flights ({columns}, {PARTITION_COLUMN} STRING)")
    async with aiopaiio.Client() as client, client.open_writer(TRIAL_TABLE) as writer:
        for batch in load_flights(rows).select(SCHEMA.names).to_batches():
            await writer.write_batch(batch)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", nargs="?", help="odps://PROJECT/tables/FLIGHTS[/month=2013-01[&month=...]]")
    parser.add_argument("--predictions", default=PREDICTIONS, help="a table (row BIGINT, minutes DOUBLE)")
    parser.add_argument("--epochs", type=int, default=2, help="(%(default)s)")
    parser.add_argument("--rows", type=int, help="so many flights, when the table is made here (default: all)")
    options = parser.parse_args(arguments)
    tf.keras.utils.set_random_seed(1)
    with contextlib.nullcontext() if options.table else trial_service():
        table = options.table or TRIAL_TABLE
        if not options.table:
            asyncio.run(write_flights(options.rows))
            asyncio.run(execute("CREATE TABLE predicted_delays (row BIGINT, minutes DOUBLE)"))
        model, losses = train(table, options.epochs)
        count = predict(model, table, options.predictions)
        with paiio.python_io.TableReader(options.predictions) as reader:
            print(f"{count:,} predictions written, {reader.get_row_count():,} rows in {options.predictions}")
    if losses[-1] >= losses[0]:
        print("the loss did not fall")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
