"""Which slice a worker reads; and two real workers that read a table together."""

from __future__ import annotations

import json
from typing import Any

import pytest

pytest.importorskip("tensorflow", reason="datasets need TensorFlow")

from aiopaiio.errors import ConfigError
from paiio.data import slice_from_tf_config

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
