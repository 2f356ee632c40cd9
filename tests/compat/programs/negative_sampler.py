"""Draws negatives for each query from a table of items whose columns it knows by their positions only."""

import json
import random
import sys

import common_io

ID, TYPE = 0, 1


def load_items(table):
    reader = common_io.table.TableReader(table, capacity=0)
    schema = reader.get_schema()
    # The id comes first, then the weight; everything behind them describes the item.
    id_type, weight_type = schema[0][TYPE], schema[1][TYPE]
    attributes = [schema[position][ID] for position in range(2, len(schema))]
    rows = reader.read(reader.get_row_count(), allow_smaller_final_batch=True)
    reader.close()
    ids, weights, *rest = zip(*rows)
    described = [dict(zip(attributes, values)) for values in zip(*rest)]
    return (id_type, weight_type), list(ids), list(weights), described


def main(items_table, queries_table, count):
    types, ids, weights, described = load_items(items_table)
    generator = random.Random(1)
    print(types, len(ids), json.dumps(described[0], sort_keys=True))
    queries = common_io.table.TableReader(queries_table)
    drawn = 0
    while True:
        try:
            # Whole batches only; then the rest by its number.
            batch = queries.read(16)
        except common_io.exception.OutOfRangeException:
            rest = queries.get_row_count() % 16
            batch = queries.read(rest) if rest else []
        for query, positive in batch:
            negatives = [item for item in generator.choices(ids, weights, k=int(count)) if item != positive]
            assert positive not in negatives
            drawn += 1
        if len(batch) < 16:
            break
    queries.close()
    print(drawn)


if __name__ == "__main__":
    main(*sys.argv[1:])
