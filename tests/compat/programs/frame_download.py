"""Downloads a table into a data frame by a pool of processes, scores it in batches and writes the scores."""

import concurrent.futures
import sys

import common_io
import numpy as np
import pandas as pd


def download(slice_count, slice_id, table, selected_cols):
    reader = common_io.table.TableReader(table, selected_cols=selected_cols, slice_id=slice_id, slice_count=slice_count)
    total = reader.get_row_count()
    if selected_cols == "":
        names = [str(x[0]) for x in reader.get_schema()]
    else:
        names = selected_cols.split(",")
    rows = reader.read(num_records=total, allow_smaller_final_batch=True)
    reader.close()
    columns = {}
    for i, name in enumerate(names):
        columns[name] = pd.Series(
            [row[i].decode() if isinstance(row[i], (bytes, bytearray)) else row[i] for row in rows]
        )
    return pd.DataFrame(columns)


def score(table, output, batch_size=64):
    reader = common_io.table.TableReader(table, selected_cols="name,x,y")
    columns = [str(x[0]) for x in reader.get_schema()]
    kept = [columns.index(name) for name in ("name",)]
    writer = common_io.table.TableWriter(output, slice_id=0)
    for _ in range(0, reader.get_row_count(), batch_size):
        # One array of text, whatever the columns are; so is what is written.
        records = np.array(reader.read(batch_size, allow_smaller_final_batch=True))
        inputs = records[:, 1:].astype(np.float64)
        outputs = [records[:, i] for i in kept]
        outputs.extend(inputs.T * 2)
        writer.write(np.array(outputs).T, range(len(outputs)), allow_type_cast=True)
    writer.close()
    reader.close()


if __name__ == "__main__":
    table, output = sys.argv[1:]
    with concurrent.futures.ProcessPoolExecutor(max_workers=2) as executor:
        futures = [executor.submit(download, 3, i, table, "") for i in range(3)]
        frame = pd.concat([future.result() for future in futures], ignore_index=True)
    print(list(frame.columns), len(frame), frame["name"].nunique(), frame["x"].sum(), int(frame["note"].isna().sum()))
    score(table, output)
