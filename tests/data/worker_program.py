"""One worker of a cluster, as a program: reads its slice of a table, and adds up with the others what all have read.

Prints its rows' numbers as this strategy's input pipelines give them, and the sum over all workers.
"""

from __future__ import annotations

import json
import sys

import tensorflow as tf

import paiio

BATCH_ROWS = 8


def main(path: str) -> None:
    strategy = tf.distribute.MultiWorkerMirroredStrategy()
    slice_id, slice_count = paiio.data.slice_from_tf_config()
    dataset = paiio.TableRecordDataset(path, [-1], "id", slice_id=slice_id, slice_count=slice_count)
    by_dataset = strategy.experimental_distribute_dataset(dataset.batch(BATCH_ROWS))
    by_function = strategy.distribute_datasets_from_function(
        lambda context: paiio.TableRecordDataset(
            path, [-1], "id", slice_id=context.input_pipeline_id, slice_count=context.num_input_pipelines
        ).batch(context.get_per_replica_batch_size(BATCH_ROWS))
    )
    read = [
        [number for (ids,) in pipeline for number in strategy.experimental_local_results(ids)[0].numpy().tolist()]
        for pipeline in (by_dataset, by_function)
    ]

    @tf.function
    def added(value: tf.Tensor) -> tf.Tensor:
        return strategy.run(
            lambda: tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, tf.identity(value))
        )

    total = int(strategy.experimental_local_results(added(tf.constant(sum(read[0]))))[0])
    print(json.dumps({"slice": [slice_id, slice_count], "read": read, "total": total}))


if __name__ == "__main__":
    main(sys.argv[1])
