"""The public interface as its users write it. Never run: mypy --strict reads it (``nox -s typing``)."""

from __future__ import annotations

import datetime
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

import aiopaiio
import aiopaiio.local
import paiio
from paiio.python_io import OutOfRangeException, TableReader, TableWriter


async def clients() -> None:
    aiopaiio.Client("odps_config.ini")
    aiopaiio.Client(Path("odps_config.ini"), memory_limit_bytes=1 << 20)
    async with aiopaiio.Client(
        endpoint="local:warehouse", project="demo", retry=aiopaiio.RetryPolicy(outage_seconds=5)
    ) as client:
        result: str = await client.execute_sql("SHOW TABLES", project="demo")
        print(result)
    await client.aclose()


async def reading(client: aiopaiio.Client) -> None:
    async with client.open_reader("odps://p/tables/t", "a,b", slice_id=0, slice_count=4) as reader:
        schema: pa.Schema = reader.schema
        table_schema: aiopaiio.TableSchema = reader.table_schema
        columns: tuple[aiopaiio.Column, ...] = table_schema.columns
        counts: tuple[int, int, int] = reader.row_count, reader.start_pos, reader.end_pos
        async for batch in reader:
            rows: int = batch.num_rows
            print(rows)
        await reader.seek()
        records: aiopaiio.Records = await reader.read(1024)
        column: Any = records["a"]
        for row in records:
            print(row, column, schema, columns, counts)
        tuples: list[tuple[Any, ...]] = await reader.read_tuples(1024)
        print(tuples)
        last: pa.RecordBatch | None = await reader.read_batch()
        print(last)
        description: aiopaiio.TableRead = pickle.loads(pickle.dumps(reader.description))
    opened: aiopaiio.TableReader = await client.open_reader(
        description,
        concurrency=8,
        capacity_rows=10_000,
        wire_form="record",
        wide_timestamps="auto",
        compression="zstd",
        memory_limit_bytes=1 << 24,
    )
    await opened.aclose()
    path = aiopaiio.TablePath("p", "t", partitions=(aiopaiio.PartitionSpec((("ds", "1"),)),))
    await client.open_reader(path, excluded_cols=["c", "d"])
    async for table, batch in client.read_tables([str(path), path], tables_at_once=2):
        print(table.upper(), batch.num_columns)


async def writing(client: aiopaiio.Client, batch: pa.RecordBatch) -> None:
    async with client.open_writer("odps://p/tables/t/ds=1", overwrite=True) as writer:
        await writer.write([(1, None), (2, "b")], indices=[0, 1])
        await writer.write((1, "a"), (0, 1), allow_type_cast=False)
        await writer.write(np.zeros((3, 2)), range(2))
        await writer.write_batch(batch)
        await writer.write_batch(pa.Table.from_batches([batch]))
        written: int = writer.rows_written
        print(written)
    upload: aiopaiio.SharedUpload = await client.create_upload("odps://p/tables/t", slice_count=4)
    shared: aiopaiio.TableWriter = await client.open_writer("odps://p/tables/t", 3, upload=upload)
    await shared.abort()
    await client.commit_upload(upload)


async def local_service() -> None:
    async with aiopaiio.local.serve(Path("warehouse"), port=0, limits=aiopaiio.local.Limits()) as service:
        config: Path = service.write_config("odps_config.ini")
        endpoint: str = service.endpoint
        print(config, endpoint)


def rows_of(table: str) -> Iterator[tuple[Any, ...]]:
    with paiio.python_io.TableReader(
        table, selected_cols="a,b", slice_id=1, slice_count=2, num_threads=4, capacity=1000
    ) as reader:
        schema: np.ndarray[Any, np.dtype[Any]] = reader.get_schema()
        print(schema["colname"], reader.get_row_count())
        reader.seek(offset=10)
        try:
            while True:
                yield from reader.read(1024, allow_smaller_final_batch=True)
        except paiio.python_io.OutOfRangeException as end:
            error: EOFError = end
            print(error)


def write_rows(table: str) -> None:
    with paiio.TableWriter(table, slice_id=3) as writer:
        writer.write([(1, datetime.datetime(2024, 1, 1))], indices=[0, 1])
        writer.write((1, "a"), (0, 1))
        last = aiopaiio.WideTimestamp(seconds=253_402_300_799, nanoseconds=999_999_999)
        writer.write((1, last), (0, 1))
        earlier: bool = last < last
        print(earlier, last.seconds, aiopaiio.WideInterval(1, 2).nanoseconds)
    flat: TableWriter = paiio.TableWriter(table)
    flat.close()
    reader: TableReader = paiio.TableReader(table, string_as="bytes")
    reader.close()
    signal: type[OutOfRangeException] = paiio.OutOfRangeException
    print(signal)


def errors() -> None:
    try:
        raise aiopaiio.NoSuchTable("no such table", code="NoSuchTable", status=404)
    except aiopaiio.ServerError as error:
        request_id: str | None = error.request_id
        again: bool = error.retryable
        print(request_id, again, error.code, error.status)
    families: tuple[type[aiopaiio.Error], ...] = (
        aiopaiio.UsageError,
        aiopaiio.ServerError,
        aiopaiio.TransportError,
        aiopaiio.DataError,
    )
    mistake: type[ValueError] = aiopaiio.UsageError
    broken: type[OSError] = aiopaiio.TransportError
    print(families, mistake, broken)
