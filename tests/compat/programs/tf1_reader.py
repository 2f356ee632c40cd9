"""A training input as it was written for TensorFlow 1: record defaults as lists of lists, a one-shot iterator."""

import sys

import common_io
import numpy as np
import tensorflow as tf

if tf.__version__ >= "2.0":
    tf = tf.compat.v1
    tf.disable_eager_execution()


def count_and_columns(table):
    reader = tf.python_io.TableReader(table)
    names = [name for name, _, _ in reader.get_schema()]
    count, first = reader.get_row_count(), []
    try:
        while True:
            first.append(reader.read(1)[0])
    except tf.errors.OutOfRangeError:
        reader.close()
    assert len(first) == count
    # Texts are bytes here.
    assert first[0][1].decode("utf-8").startswith("row"), first[0]
    return count, names


def input_fn(table, slice_id, slice_count):
    defaults = [[0], [""], [0.0]]
    dataset = tf.data.TableRecordDataset(
        table.split(","),
        record_defaults=defaults,
        selected_cols="id,name,score",
        slice_id=slice_id,
        slice_count=slice_count,
        num_threads=64,
        capacity=2**25,
    )
    dataset = dataset.map(lambda id, name, score: (id, tf.strings.length(name), score)).batch(8)
    return tf.data.make_one_shot_iterator(dataset).get_next()


def main(table, output):
    count, names = count_and_columns(table)
    print(count, names)
    total, letters, score = 0, 0, 0.0
    for slice_id in range(2):
        with tf.Graph().as_default(), tf.Session() as session:
            batch = input_fn(table, slice_id, 2)
            while True:
                try:
                    ids, lengths, scores = session.run(batch)
                except (tf.python_io.OutOfRangeException, tf.errors.OutOfRangeError):
                    break
                assert (str(ids.dtype), str(scores.dtype)) == ("int32", "float32")
                total += len(ids)
                letters += int(lengths.sum())
                score += float(scores.sum())
    print(total, letters, score)
    writer = common_io.table.TableWriter(output, slice_id=0)
    outputs = [np.array([total]), np.array([b"sum"]), np.array([score], np.float32)]
    writer.write(list(zip(*outputs)), list(range(len(outputs))), allow_type_cast=False)
    writer.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
