"""Readers and writers in worker processes, forked and spawned: each opens its own. Each case is a program."""

from __future__ import annotations

import pickle
import textwrap
from pathlib import Path

import pytest

import aiopaiio
import paiio

from .conftest import Tables, run_python

METHODS = ["fork", *(pytest.param(method, marks=pytest.mark.slow) for method in ("spawn", "forkserver"))]

POOL = """
import multiprocessing, os, sys
from concurrent.futures import ProcessPoolExecutor

import aiopaiio
import common_io

PATH, OUTPUT, METHOD = sys.argv[1:]
inherited = None


def read(slice_id):
    with common_io.table.TableReader(PATH, slice_id=slice_id, slice_count=4, num_threads=2) as reader:
        rows = list(reader)
    with common_io.table.TableWriter(OUTPUT, slice_id) as writer:
        writer.write([(len(rows), slice_id)], [0, 1])
    return rows


def use_inherited(method):
    try:
        getattr(inherited, method)()
    except aiopaiio.ForkedError as error:
        return f"{type(error).__name__}, {'child process' in str(error)}"
    return "no error"


if __name__ == "__main__":
    # In the parent, for metadata; it stays open.
    inherited = common_io.table.TableReader(PATH)
    expected = inherited.read(inherited.get_row_count())
    inherited.seek(0)
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context(METHOD)) as pool:
        print([row for part in pool.map(read, range(4)) for row in part] == expected)
        # The same workers again.
        print([row for part in pool.map(read, range(4)) for row in part] == expected)
        if METHOD == "fork":
            print(*pool.map(use_inherited, ["read", "seek", "get_schema", "close"]), sep="; ")
    print(inherited.read(2) == expected[:2])
    inherited.close()
"""


@pytest.mark.parametrize("method", METHODS)
def test_a_process_pool_executor(tables: Tables, tmp_path: Path, method: str) -> None:
    path = tables.new("a bigint, b string", [(n, f"row {n}") for n in range(2000)])
    output = tables.new("count bigint, slice bigint")
    program = tmp_path / "job.py"
    program.write_text(POOL)
    done = run_python("-W", "ignore::DeprecationWarning", "-m", "paiio.compat", str(program), path, output, method)
    assert done.stderr == ""
    expected = ["True", "True", "True"]
    if method == "fork":
        expected.insert(2, "; ".join(["ForkedError, True"] * 3 + ["no error"]))
    assert done.stdout.splitlines() == expected
    assert sorted(tables.rows(output)) == sorted([(500, n) for n in range(4)] * 2)


LOADER = """
import sys
import paiio
import torch

PATH, METHOD = sys.argv[1:]


class Rows(torch.utils.data.IterableDataset):
    def __init__(self):
        self.reader = None
        with paiio.TableReader(PATH) as reader:
            self.count = reader.get_row_count()

    def __iter__(self):
        info = torch.utils.data.get_worker_info()
        with paiio.TableReader(PATH, slice_id=info.id, slice_count=info.num_workers) as reader:
            for row in reader:
                yield row


class Inherited(torch.utils.data.Dataset):
    def __init__(self):
        self.reader = paiio.TableReader(PATH)

    def __len__(self):
        return self.reader.get_row_count()

    def __getitem__(self, index):
        self.reader.seek(index)
        return self.reader.read(1)[0][0]


def load(dataset):
    loader = torch.utils.data.DataLoader(
        dataset, batch_size=50, num_workers=2, multiprocessing_context=METHOD, persistent_workers=True
    )
    # Two epochs by the same workers.
    return [sorted(int(number) for batch in loader for number in batch[0]) for _ in range(2)]


if __name__ == "__main__":
    print(load(Rows()) == [list(range(500))] * 2)
    if METHOD == "fork":
        dataset = Inherited()
        print(dataset[3])
        try:
            list(torch.utils.data.DataLoader(dataset, num_workers=1, multiprocessing_context="fork"))
        except Exception as error:
            print("ForkedError" in str(error) and "child process" in str(error))
        print(dataset[4])
        dataset.reader.close()
"""


@pytest.mark.parametrize("method", METHODS)
def test_a_data_loader(tables: Tables, tmp_path: Path, method: str) -> None:
    pytest.importorskip("torch", reason="DataLoader is PyTorch's")
    path = tables.new("a bigint, b string", [(n, f"row {n}") for n in range(500)])
    program = tmp_path / "job.py"
    program.write_text(textwrap.dedent(LOADER))
    done = run_python(str(program), path, method)
    assert done.stdout.splitlines() == ["True"] + (["3", "True", "4"] if method == "fork" else []), done.stderr


def test_readers_and_writers_do_not_pickle_but_say_what_to_do(tables: Tables) -> None:
    path = tables.new("a bigint")
    with paiio.TableReader(path) as reader, paiio.TableWriter(path) as writer:
        for opened in (reader, writer):
            with pytest.raises(aiopaiio.UsageError, match=r"open a Table(Reader|Writer) in the other process"):
                pickle.dumps(opened)
