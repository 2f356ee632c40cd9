"""TableRecordDataset the way its documentation shows it: a graph, a session, an iterator (TensorFlow 1's ways).

    python examples/documented_dataset.py                                 a small table of its own, nothing else needed
    python examples/documented_dataset.py odps://PROJECT/tables/TABLE     yours, found by ODPS_CONFIG_FILE_PATH, with
                                                                          the columns uid BIGINT, name STRING,
                                                                          price DOUBLE

What is between the two lines is the program; below is only what gives it a table to read.
"""

from __future__ import annotations

import contextlib
import sys

# ----------------------------------------------------------------------------------------------------------------------
import tensorflow.compat.v1 as tf

import paiio
from trial_service import PROJECT, trial_service


def read_table(table: str) -> int:
    """Print the rows in batches, twice over; the number of batches."""
    tf.disable_eager_execution()
    # Each default gives the type of a column and what stands for NULL in it.
    dataset = paiio.data.TableRecordDataset(table, record_defaults=[0, "", 0.0], selected_cols="uid,name,price")
    iterator = dataset.repeat(2).batch(3).make_one_shot_iterator()
    uids, names, prices = iterator.get_next()
    batches = 0
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        session.run(tf.local_variables_initializer())
        try:
            while True:
                print(*session.run([uids, names, prices]))
                batches += 1
        except tf.errors.OutOfRangeError:
            print("all rows read, twice")
    return batches


# ----------------------------------------------------------------------------------------------------------------------

TRIAL_TABLE = f"odps://{PROJECT}/tables/prices"


def make_trial_table() -> None:
    """Five rows, with NULLs among them."""
    import asyncio

    import aiopaiio

    async def create() -> None:
        async with aiopaiio.Client() as client:
            await client.execute_sql("CREATE TABLE prices (uid BIGINT, name STRING, price DOUBLE)")

    asyncio.run(create())
    with paiio.python_io.TableWriter(TRIAL_TABLE) as writer:
        rows = [(25, "Apple", 5.0), (38, "Pear", 4.5), (17, "Watermelon", None), (None, "Plum", 1.0), (3, None, 9.0)]
        writer.write(rows, indices=[0, 1, 2])


def main() -> None:
    arguments = sys.argv[1:]
    if arguments in (["-h"], ["--help"]):
        print(__doc__)
        return
    with contextlib.nullcontext() if arguments else trial_service():
        if not arguments:
            make_trial_table()
        read_table(arguments[0] if arguments else TRIAL_TABLE)


if __name__ == "__main__":
    main()
