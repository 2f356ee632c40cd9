"""Which slice a worker reads; and two real workers that read a table together."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("tensorflow", reason="datasets need TensorFlow")

from aiopaiio.errors import ConfigError
from paiio.data import slice_from_tf_config

from .conftest import MakeTable, numbered

CLUSTER = {"chief": ["c:1"], "worker": ["a:1", "b:1"], "ps": ["p:1"], "evaluator": ["e:1"]}


@pytest.mark.parametrize(
    ("cluster", "task", "expected"),
    [
        ({"worker": ["a:1", "b:1"]}, {"type": "worker", "index": 0}, (0, 2)),
        ({"worker": ["a:1", "b:1"]}, {"type": "worker", "index": 1}, (1, 2)),
        (CLUSTER, {"type": "chief", "index": 0}, (0, 3)),
        (CLUSTER, {"type": "worker", "index": 1}, (2, 3)),
        (CLUSTER, {"type": "evaluator", "index": 0}, (0, 1)),
        (CLUSTER, {"type": "ps", "index": 0}, (0, 1)),
        ({}, {}, (0, 1)),
    ],
)
def test_the_slice_of_a_task(
    monkeypatch: pytest.MonkeyPatch, cluster: dict[str, Any], task: dict[str, Any], expected: tuple[int, int]
) -> None:
    config = {"cluster": cluster, "task": task}
    assert slice_from_tf_config(config) == expected
    assert slice_from_tf_config(json.dumps(config)) == expected
    monkeypatch.setenv("TF_CONFIG", json.dumps(config))
    assert slice_from_tf_config() == expected


def test_without_a_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TF_CONFIG", raising=False)
    assert slice_from_tf_config() == (0, 1)


@pytest.mark.parametrize(
    "config",
    ["{", "[]", '"x"', {"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 1}}, {"cluster": 5}],
)
def test_nonsense(config: Any) -> None:
    with pytest.raises(ConfigError, match="TF_CONFIG"):
        slice_from_tf_config(config)


def free_ports(count: int) -> list[int]:
    """Ports that nobody has, each another."""
    with ExitStack() as stack:
        found = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in found:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in found]


@pytest.mark.slow
def test_two_workers_read_a_table_together(make_table: MakeTable) -> None:
    count = 101
    path = make_table(numbered(count))
    workers = [f"127.0.0.1:{port}" for port in free_ports(2)]
    root = Path(__file__).parents[2]
    started = []
    with ExitStack() as stack:
        for index in range(2):
            config = {"cluster": {"worker": workers}, "task": {"type": "worker", "index": index}}
            process = subprocess.Popen(
                [sys.executable, str(Path(__file__).with_name("worker_program.py")), path],
                env=os.environ | {"PYTHONPATH": str(root), "TF_CONFIG": json.dumps(config)},
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            stack.enter_context(process)
            stack.callback(process.kill)
            started.append(process)
        answers = []
        for process in started:
            answer, complaints = process.communicate(timeout=110)
            assert process.returncode == 0, complaints
            answers.append(json.loads(answer))
    assert [answer["slice"] for answer in answers] == [[0, 2], [1, 2]]
    for way in range(2):
        # Contiguous slices, so one behind the other they are the table.
        assert answers[0]["read"][way] + answers[1]["read"][way] == list(range(count))
    assert {answer["total"] for answer in answers} == {sum(range(count))}


@pytest.mark.slow
def test_a_forked_child_reads_what_was_made_before(make_table: MakeTable) -> None:
    program = """
import os, sys
import paiio.data

def read(dataset):
    return sum(int(ids.numpy().sum()) for (ids,) in dataset.batch(10))

with paiio.python_io.TableReader(sys.argv[1]) as reader:
    reader.read(5)
    dataset = paiio.data.TableRecordDataset(sys.argv[1], [-1], "id")
    child = os.fork()
    if not child:
        print(read(dataset), read(paiio.data.TableRecordDataset(sys.argv[1], [-1], "id").skip(1)), flush=True)
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    print(code, len(reader.read(1000)), read(dataset))
"""
    done = subprocess.run(
        [sys.executable, "-c", program, make_table(numbered(101))],
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.stdout.splitlines() == ["5050 5050", "0 96 5050"], done.stderr
