"""Chains applied to a dataset of a table against the same chains on TensorFlow's dataset of the same rows."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

tf = pytest.importorskip("tensorflow", reason="datasets need TensorFlow")

import paiio  # noqa: E402

from .conftest import DEFAULTS, MakeTable, numbered, numbered_rows, rows_of  # noqa: E402

Dataset = paiio.TableRecordDataset


def row_wise(rows: list[tuple[int, float, bytes]]) -> Any:
    """TensorFlow's own dataset of these rows."""
    ids, halves, texts = zip(*rows, strict=True)
    return tf.data.Dataset.from_tensor_slices(
        (np.array(ids, np.int32), np.array(halves, np.float32), np.array(texts, object))
    )


def random_chain(choice: random.Random) -> list[tuple[str, tuple[Any, ...]]]:
    """Operations with a defined order, the last of them sometimes a ``shuffle``; also ones that end the rewriting."""
    chain: list[tuple[str, tuple[Any, ...]]] = []
    for _ in range(choice.randint(1, 4)):
        shards = choice.randint(1, 3)
        chain.append(
            choice.choice(
                [
                    ("skip", (choice.randint(0, 40),)),
                    ("take", (choice.randint(0, 60),)),
                    ("shard", (shards, choice.randrange(shards))),
                    ("repeat", (choice.randint(1, 3),)),
                    ("batch", (choice.randint(1, 12), choice.random() < 0.5)),
                    ("prefetch", (2,)),
                    ("with_options", (tf.data.Options(),)),
                ]
            )
        )
    # Batches of batches of different sizes are an error, whoever makes them.
    batches = [step for step in chain if step[0] == "batch"]
    chain = [step for step in chain if step[0] != "batch" or step is batches[0]]
    if choice.random() < 0.3:
        chain.append(("shuffle", (choice.randint(1, 50),)))
    return chain


SLOW_SEEDS = [pytest.param(seed, marks=pytest.mark.slow) for seed in range(4, 48)]


@pytest.mark.parametrize("seed", [*range(4), *SLOW_SEEDS])
def test_random_chains(make_table: MakeTable, seed: int) -> None:
    choice = random.Random(seed)
    count = choice.randint(1, 120)
    cut = choice.randint(0, count)
    paths = [make_table(numbered(cut)), make_table(numbered(count - cut, cut))]
    chain = random_chain(choice)
    ours, theirs = Dataset(paths, DEFAULTS), row_wise(numbered_rows(count))
    for name, arguments in chain:
        ours, theirs = getattr(ours, name)(*arguments), getattr(theirs, name)(*arguments)
    assert ours.element_spec == theirs.element_spec, chain
    got, expected = rows_of(ours), rows_of(theirs)
    if chain[-1][0] == "shuffle":
        got, expected = sorted(got, key=repr), sorted(expected, key=repr)
    assert got == expected, chain


def test_what_is_rewritten_and_what_is_not(make_table: MakeTable) -> None:
    dataset = Dataset(make_table(numbered(10)), DEFAULTS)
    chains = [
        dataset.batch(2),
        dataset.batch(2, drop_remainder=True, num_parallel_calls=tf.data.AUTOTUNE),
        dataset.batch(tf.constant(2, tf.int64)).take(2).skip(1).shard(2, 0).repeat(),
        dataset.shuffle(5, seed=1).repeat(2).batch(3),
        dataset.with_options(tf.data.Options()).shard(2, 1),
    ]
    for chain in chains:
        assert isinstance(chain, Dataset)
    for chain in [dataset.batch(2).shuffle(2), dataset.batch(2).batch(2), dataset.map(lambda *row: row)]:
        assert not isinstance(chain, Dataset)
        assert isinstance(chain, tf.data.Dataset)
        assert isinstance(chain, tf.compat.v1.data.Dataset)


def test_options_are_kept(make_table: MakeTable) -> None:
    options = tf.data.Options()
    options.deterministic = False
    dataset = Dataset(make_table(numbered(4)), DEFAULTS).with_options(options).batch(2)
    assert dataset.options().deterministic is False
    assert dataset.map(lambda *columns: columns).options().deterministic is False


def test_impossible_arguments_are_refused_by_tensorflow(make_table: MakeTable) -> None:
    dataset = Dataset(make_table(numbered(4)), DEFAULTS)
    for wrong in (lambda: dataset.batch(0), lambda: dataset.shuffle(0), lambda: dataset.shard(2, 2)):
        with pytest.raises((tf.errors.InvalidArgumentError, ValueError)):
            rows_of(wrong())


# ----------------------------------------------------------------------------------------------------------- shuffling


def ids_of(dataset: Any) -> list[int]:
    return [int(row[0]) for row in dataset.as_numpy_iterator()]


def test_shuffle_is_seeded(make_table: MakeTable) -> None:
    path = make_table(numbered(50))

    def new(**arguments: Any) -> Any:
        return Dataset(path, DEFAULTS).shuffle(20, **arguments)

    one, two = new(seed=3), new(seed=3)
    first, second = ids_of(one), ids_of(one)
    assert (ids_of(two), ids_of(two)) == (first, second)
    assert first != second
    assert ids_of(new(seed=4)) not in (first, second)
    assert sorted(first) == sorted(second) == list(range(50))
    same = new(seed=3, reshuffle_each_iteration=False)
    assert ids_of(same) == ids_of(same) == first
    unseeded = new(reshuffle_each_iteration=False)
    assert ids_of(unseeded) == ids_of(unseeded)
    epochs = ids_of(new(seed=3).repeat(2))
    assert (epochs[:50], epochs[50:]) == (first, second)


def test_shuffle_follows_the_global_seed(make_table: MakeTable) -> None:
    path = make_table(numbered(50))
    orders = []
    for seed in (1, 1, 2):
        tf.random.set_seed(seed)
        orders.append(ids_of(Dataset(path, DEFAULTS).shuffle(20)))
    assert orders[0] == orders[1] != orders[2]


def test_repeat_before_shuffle_mixes_passes(make_table: MakeTable) -> None:
    path = make_table(numbered(10))
    mixed = ids_of(Dataset(path, DEFAULTS).repeat(20).shuffle(100, seed=0))
    assert sorted(mixed) == sorted(list(range(10)) * 20)
    assert sorted(mixed[:10]) != list(range(10))


@pytest.mark.slow
def test_infinite_repetition_is_known_to_be(make_table: MakeTable) -> None:
    dataset = Dataset(make_table(numbered(10)), DEFAULTS).repeat().shuffle(5).batch(4)
    assert dataset.cardinality() == tf.data.INFINITE_CARDINALITY
    assert len(list(dataset.take(100))) == 100
    assert dataset.take(100).cardinality() != tf.data.INFINITE_CARDINALITY


def test_wide_rows_and_long_texts(make_table: MakeTable) -> None:
    count = 40
    columns = {f"c{number}": pa.array([number * row for row in range(count)], pa.int64()) for number in range(60)}
    columns["long"] = pa.array(["x" * (row * 20_000) for row in range(count)])
    dataset = Dataset(make_table(pa.record_batch(columns)), [np.int64(0)] * 60 + [""])
    expected = [(*(number * row for number in range(60)), b"x" * (row * 20_000)) for row in range(count)]
    assert rows_of(dataset) == expected
    assert rows_of(dataset.batch(7).unbatch()) == expected
    assert sorted(rows_of(dataset.shuffle(10))) == expected
