"""A training job as it stands behind a SQL statement: reads features, fits a line, writes text into number columns.

Written for two generations of the reader: flat names first, the older place when they are missing.
"""

import os
import sys

import numpy as np

import paiio


def open_reader(table, columns):
    rank, world = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    arguments = dict(selected_cols=columns, slice_id=rank, slice_count=world, num_threads=0, capacity=25600)
    try:
        return paiio.TableReader(table, **arguments)
    except AttributeError:
        return paiio.python_io.TableReader(table, **arguments)


def open_writer(table):
    if hasattr(paiio, "TableWriter"):
        return paiio.TableWriter(table)
    return paiio.python_io.TableWriter(table)


def batches(reader, size):
    while True:
        try:
            rows = reader.read(num_records=size)
        except Exception:  # whatever it is, it is the end
            return
        for row in rows or []:
            yield row


def main(source, result):
    reader = open_reader(source, "x, y ,label")
    names = [column["colname"] for column in reader.get_schema()]
    kinds = {column[0]: column[1] for column in reader.get_schema()}
    assert names == ["x", "y", "label"], names
    assert kinds["x"] == "string" and kinds["label"] == "bigint", kinds
    features, labels = [], []
    for x, y, label in batches(reader, 64):
        if y is None:
            continue
        features.append([float(x), y, 1.0])
        labels.append(label)
    reader.close()
    weights, *_ = np.linalg.lstsq(np.array(features), np.array(labels, float), rcond=None)
    print("%d rows, weights %s" % (len(labels), " ".join("%.3f" % weight for weight in weights)))

    writer = open_writer(result)
    for start in range(0, len(features), 100):
        scores = np.array(features[start : start + 100]) @ weights
        # All of it as text; the table has numbers.
        rows = [[str(start + number), "%.6f" % score, str(score > 0).lower()] for number, score in enumerate(scores)]
        writer.write(rows, indices=range(3))
    writer.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
