"""Loads the edges and nodes of a graph into memory, as graph-learning trainers do, and prints what it is like."""

import argparse

import common_io
import numpy as np


def load(table, columns, batch_size=1000):
    reader = common_io.table.TableReader(table, selected_cols=columns, num_threads=10, capacity=10240)
    gathered = []
    while True:
        try:
            gathered.extend(reader.read(batch_size, allow_smaller_final_batch=True))
        except common_io.exception.OutOfRangeException:
            reader.close()
            break
    return gathered


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--tables", required=True, help="edges,nodes")
    edge_table, node_table = parser.parse_args().tables.split(",")

    edges = load(edge_table, "src_id,dst_id,weight")
    sources, targets = [np.array([edge[number] for edge in edges], dtype=np.int64) for number in range(2)]
    weights = np.array([edge[2] for edge in edges], dtype=np.float32)

    nodes = load(node_table, "id,features,label")
    features = np.zeros((len(nodes), 3), dtype=np.float32)
    labels = np.full(len(nodes), -1)
    for number, text, label in nodes:
        features[number] = [float(part) for part in text.split(":")]
        if label is not None:
            labels[number] = label

    degrees = np.bincount(sources, weights=weights, minlength=len(nodes))
    print(len(edges), len(nodes), int((labels >= 0).sum()))
    print(degrees.tolist())
    print((features.sum(axis=0) * 10).round().astype(int).tolist(), targets.max())


if __name__ == "__main__":
    main()
