"""Linear regression by stochastic gradient descent, read straight from a table: blocking reads and NumPy.

    python examples/train_blocking.py
        a generated table whose true weights are known, nothing else needed
    python examples/train_blocking.py odps://PROJECT/tables/T --label y --features a,b,c
        a table of yours, found by ODPS_CONFIG_FILE_PATH; rows with a NULL in these columns are passed over

Every epoch goes through the slices of the table in another random order, which shuffles far without holding the table.
"""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

import paiio
from trial_service import PROJECT, trial_service

Floats = npt.NDArray[np.float64]


def read_slice(table: str, columns: Sequence[str], slice_id: int, slice_count: int, rows: int) -> Iterator[Floats]:
    """The rows of one slice, ``rows`` at a time: arrays of shape (rows without a NULL, columns)."""
    with paiio.python_io.TableReader(
        table, selected_cols=",".join(columns), slice_id=slice_id, slice_count=slice_count
    ) as reader:
        while True:
            try:
                records = reader.read(rows)
            except paiio.python_io.OutOfRangeException:
                return
            # A column with a NULL holds Python objects; NumPy makes a NaN of each None.
            cells = np.column_stack([records[name].astype(np.float64) for name in columns])
            yield cells[~np.isnan(cells).any(axis=1)]


class LinearModel:
    """``label = features @ weights + bias``, fitted to standardised columns; squared loss."""

    def __init__(self, first: Floats) -> None:
        """``first``: some rows, the label in the last column; they set the scale of every column."""
        if len(first) < 2:
            raise SystemExit("the table has no two rows without a NULL in these columns")
        self._mean = first.mean(axis=0)
        self._scale = np.where(first.std(axis=0) > 0, first.std(axis=0), 1.0)
        self._weights = np.zeros(first.shape[1])  # the bias is the last

    def step(self, rows: Floats, rate: float) -> float:
        """One step down the gradient of these rows; the mean squared error before it, in the label's unit."""
        scaled = (rows - self._mean) / self._scale
        inputs = np.column_stack([scaled[:, :-1], np.ones(len(rows))])
        error = inputs @ self._weights - scaled[:, -1]
        self._weights -= rate * 2 * inputs.T @ error / len(rows)
        return float(np.mean(error**2) * self._scale[-1] ** 2)

    @property
    def weights(self) -> Floats:
        """The weight of each feature, in the columns' own units."""
        weights: Floats = self._weights[:-1] * self._scale[-1] / self._scale[:-1]
        return weights


def train(table: str, label: str, features: Sequence[str], *, epochs: int, slices: int, rows: int) -> LinearModel:
    """Fit and print the loss of every epoch."""
    columns = [*features, label]
    model = LinearModel(next(read_slice(table, columns, 0, 1, 10_000), np.empty((0, len(columns)))))
    random = np.random.default_rng(1)
    for epoch in range(1, epochs + 1):
        total, seen = 0.0, 0
        for slice_id in random.permutation(slices).tolist():
            for batch in read_slice(table, columns, slice_id, slices, rows):
                if len(batch):
                    total += len(batch) * model.step(batch, rate=0.05 / epoch)
                    seen += len(batch)
        print(f"epoch {epoch}: {seen} rows, loss {total / max(seen, 1):.4f}", flush=True)
    return model


# ----------------------------------------------------------------------------------------------------- the trial table

TRIAL_TABLE = f"odps://{PROJECT}/tables/points"
TRUE_WEIGHTS = (1.5, -2.0, 0.75)
NOISE = 0.1


def make_trial_table(row_count: int) -> None:
    """Points around a plane; one label in a hundred is missing."""
    import asyncio

    import aiopaiio

    async def create() -> None:
        async with aiopaiio.Client() as client:
            await client.execute_sql("CREATE TABLE points (x0 DOUBLE, x1 DOUBLE, x2 DOUBLE, y DOUBLE)")

    asyncio.run(create())
    random = np.random.default_rng(0)
    with paiio.python_io.TableWriter(TRIAL_TABLE) as writer:
        for start in range(0, row_count, 5000):
            inputs = random.normal(size=(min(5000, row_count - start), 3))
            labels = inputs @ TRUE_WEIGHTS + random.normal(0, NOISE, len(inputs))
            missing = random.random(len(inputs)) < 0.01
            writer.write(
                [
                    (*row, None if gone else label)
                    for row, label, gone in zip(inputs.tolist(), labels.tolist(), missing.tolist(), strict=True)
                ],
                indices=range(4),
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", nargs="?", help="odps://PROJECT/tables/TABLE[/KEY=VALUE...]")
    parser.add_argument("--label", default="y", help="numeric column to predict (%(default)s)")
    parser.add_argument("--features", default="x0,x1,x2", help="numeric columns, comma-separated (%(default)s)")
    parser.add_argument("--epochs", type=int, default=4, help="(%(default)s)")
    parser.add_argument("--slices", type=int, default=4, help="(%(default)s)")
    parser.add_argument("--batch-rows", type=int, default=256, help="(%(default)s)")
    parser.add_argument("--trial-rows", type=int, default=40_000, help="size of the generated table (%(default)s)")
    options = parser.parse_args()
    features = [name.strip().lower() for name in options.features.split(",")]
    with contextlib.nullcontext() if options.table else trial_service():
        if not options.table:
            make_trial_table(options.trial_rows)
        model = train(
            options.table or TRIAL_TABLE,
            options.label.lower(),
            features,
            epochs=options.epochs,
            slices=options.slices,
            rows=options.batch_rows,
        )
        for name, weight in zip(features, model.weights.tolist(), strict=True):
            print(f"weight of {name}: {weight:.3f}")
        if not options.table:
            print("true weights:", *TRUE_WEIGHTS)


if __name__ == "__main__":
    main()
