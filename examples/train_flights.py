"""How late will a flight arrive? A Keras model, trained straight from a table of a year's flights from New York City.

    python examples/train_flights.py                                 a service of its own, with all 336,776 flights
    python examples/train_flights.py odps://PROJECT/tables/FLIGHTS   your service, found by ODPS_CONFIG_FILE_PATH; the
                                                                     table as examples/flights.py writes it, all months
                                                                     (.../month=2013-01&month=2013-02&...)

Reads the table with TableRecordDataset, shuffled and in batches, two epochs. --save keeps the model, with which
examples/predict_flights.py writes the expected delay of every flight into a table.
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


# ----------------------------------------------------------------------------------------------------------- the tables


async def write_flights(rows: int | None) -> None:
    """Make the table of flights, with the first ``rows`` of them (None: all)."""
    columns = ", ".join(f"{name} {kind}" for name, kind in COLUMNS.items())
    async with aiopaiio.Client() as client:
        await client.execute_sql(f"CREATE TABLE flights ({columns}, {PARTITION_COLUMN} STRING)", PROJECT)
        async with client.open_writer(TRIAL_TABLE) as writer:
            for batch in load_flights(rows).select(SCHEMA.names).to_batches():
                await writer.write_batch(batch)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", nargs="?", help="odps://PROJECT/tables/FLIGHTS[/month=2013-01[&month=...]]")
    parser.add_argument("--epochs", type=int, default=2, help="(%(default)s)")
    parser.add_argument("--rows", type=int, help="so many flights, when the table is made here (default: all)")
    parser.add_argument("--save", metavar="FILE.keras", help="keep the model")
    options = parser.parse_args(arguments)
    tf.keras.utils.set_random_seed(1)
    with contextlib.nullcontext() if options.table else trial_service():
        if not options.table:
            asyncio.run(write_flights(options.rows))
        model, losses = train(options.table or TRIAL_TABLE, options.epochs)
    if options.save:
        model.save(options.save)
    if losses[-1] >= losses[0]:
        print("the loss did not fall")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
