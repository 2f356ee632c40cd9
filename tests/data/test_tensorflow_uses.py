"""A dataset of a table where TensorFlow takes datasets: functions, graphs, Keras, distribution."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow", reason="datasets need TensorFlow")

import paiio  # noqa: E402

from .conftest import DEFAULTS, MakeTable, numbered, numbered_rows, rows_of  # noqa: E402

Dataset = paiio.TableRecordDataset
v1 = tf.compat.v1


def test_map_zip_interleave_cache_padded_batch(make_table: MakeTable) -> None:
    dataset = Dataset(make_table(numbered(6)), DEFAULTS)
    ids = dataset.map(lambda number, half, text: number)
    assert [int(number) for number in ids] == list(range(6))
    assert [(int(a), int(b[0])) for a, b in tf.data.Dataset.zip((ids, dataset.skip(3)))] == [(0, 3), (1, 4), (2, 5)]
    assert [int(number) for number in ids.filter(lambda number: number % 2 == 1)] == [1, 3, 5]
    assert rows_of(dataset.cache()) == rows_of(dataset.prefetch(1)) == numbered_rows(6)
    assert [len(batch[0]) for batch in rows_of(dataset.padded_batch(4))] == [4, 2]
    assert [batch.numpy().tolist() for batch in ids.batch(4)] == [[0, 1, 2, 3], [4, 5]]
    both = dataset.concatenate(dataset.take(1))
    assert [int(row[0]) for row in both] == [0, 1, 2, 3, 4, 5, 0]
    mapped = dataset.apply(tf.data.experimental.map_and_batch(lambda number, half, text: number + 1, 4))
    assert [batch.numpy().tolist() for batch in mapped] == [[1, 2, 3, 4], [5, 6]]
    assert isinstance(dataset.apply(lambda rows: rows.shuffle(2).batch(3)), Dataset)


def test_inside_and_through_a_function(make_table: MakeTable) -> None:
    path = make_table(numbered(10))
    outside = Dataset(path, DEFAULTS).batch(3)

    @tf.function
    def total(dataset: Any) -> Any:
        found = tf.constant(0)
        for ids, _, _ in dataset:
            found += tf.reduce_sum(ids)
        return found

    @tf.function
    def captured() -> Any:
        return outside.skip(1).reduce(0, lambda found, batch: found + tf.reduce_sum(batch[0]))

    @tf.function
    def inside() -> Any:
        return Dataset(path, DEFAULTS).take(4).reduce(0, lambda found, row: found + row[0])

    assert int(total(outside)) == 45
    assert (int(captured()), int(captured())) == (42, 42)
    assert int(inside()) == 6


def session_rows(build: Any, feeds: list[dict[str, Any]] | None = None) -> list[list[tuple[Any, ...]]]:
    """Elements until the end, once for each feed of an initializer, from a graph that ``build`` makes."""
    runs = []
    with tf.Graph().as_default(), v1.Session() as session:
        initializer, following, placeholder = build()
        for feed in feeds or [{}]:
            if initializer is not None:
                session.run(initializer, {placeholder: feed["value"]} if feed else None)
            rows = []
            with pytest.raises(tf.errors.OutOfRangeError):
                while True:
                    rows.append(session.run(following))
            runs.append([tuple(value.tolist() for value in row) for row in rows])
    return runs


def test_graph_mode_one_shot(make_table: MakeTable) -> None:
    path = make_table(numbered(7))

    def build() -> tuple[Any, ...]:
        iterator = Dataset([path], DEFAULTS, selected_cols="id,half,text").shuffle(1).repeat(2).batch(4)
        return None, iterator.map(lambda *row: row[:2]).make_one_shot_iterator().get_next(), None

    (rows,) = session_rows(build)
    assert [ids for ids, _ in rows] == [[0, 1, 2, 3], [4, 5, 6, 0], [1, 2, 3, 4], [5, 6]]


def test_graph_mode_one_shot_by_function(make_table: MakeTable) -> None:
    path = make_table(numbered(3))

    def build() -> tuple[Any, ...]:
        return None, v1.data.make_one_shot_iterator(Dataset(path, [0], "id")).get_next(), None

    assert session_rows(build) == [[(0,), (1,), (2,)]]


def test_graph_mode_initializable(make_table: MakeTable) -> None:
    paths = [make_table(numbered(2)), make_table(numbered(3, 2))]

    def build() -> tuple[Any, ...]:
        names = v1.placeholder(tf.string, [None])
        iterator = Dataset(names, [np.int64(0)], "id").batch(2).make_initializable_iterator()
        return iterator.initializer, iterator.get_next(), names

    runs = session_rows(build, [{"value": paths}, {"value": paths[1:]}, {"value": paths[1:]}])
    assert runs == [[([0, 1],), ([2, 3],), ([4],)], [([2, 3],), ([4],)], [([2, 3],), ([4],)]]


def test_graph_mode_dataset_of_names(make_table: MakeTable) -> None:
    paths = [make_table(numbered(2)), make_table(numbered(3, 2))]

    def build() -> tuple[Any, ...]:
        files = v1.data.Dataset.from_tensor_slices(v1.placeholder_with_default(paths, [None])).repeat(2)
        iterator = v1.data.make_initializable_iterator(Dataset(files, [0], "id").skip(1).batch(5))
        return iterator.initializer, iterator.get_next(), None

    assert session_rows(build) == [[([1, 2, 3, 4, 0],), ([1, 2, 3, 4],)]]


@pytest.mark.filterwarnings("ignore:Your input ran out of data")  # said of every generator at its first end
def test_fit(make_table: MakeTable) -> None:
    dataset = Dataset(make_table(numbered(512)), DEFAULTS).shuffle(100, seed=1).batch(32)
    seen = dataset.map(lambda number, half, text: (tf.cast(number, tf.float32)[:, None] / 512, half / 256))
    model = tf.keras.Sequential([tf.keras.layers.Dense(1)])
    model.compile(optimizer=tf.keras.optimizers.SGD(0.1), loss="mse")
    history = model.fit(seen, epochs=3, verbose=0, shuffle=False)
    assert history.history["loss"][-1] < history.history["loss"][0]
    assert len(model.predict(seen, verbose=0)) == 512
    model.fit(seen.repeat(), steps_per_epoch=3, verbose=0, shuffle=False)


def test_distributed_over_replicas(make_table: MakeTable) -> None:
    path = make_table(numbered(10))
    strategy = tf.distribute.MirroredStrategy(["cpu:0"])
    whole = strategy.experimental_distribute_dataset(Dataset(path, DEFAULTS).batch(4))
    assert [number for ids, _, _ in whole for number in ids.numpy().tolist()] == list(range(10))
    by_function = strategy.distribute_datasets_from_function(
        lambda context: Dataset(
            path, DEFAULTS, slice_id=context.input_pipeline_id, slice_count=context.num_input_pipelines
        ).batch(context.get_per_replica_batch_size(4))
    )
    assert [number for ids, _, _ in by_function for number in ids.numpy().tolist()] == list(range(10))


def test_slices_are_not_sharded_again(make_table: MakeTable) -> None:
    path = make_table(numbered(10))
    policy = tf.data.experimental.AutoShardPolicy
    sliced = Dataset(path, DEFAULTS, slice_id=1, slice_count=2).batch(2)
    assert sliced.options().experimental_distribute.auto_shard_policy == policy.OFF
    assert Dataset(path, DEFAULTS).options().experimental_distribute.auto_shard_policy == policy.AUTO
    asked = tf.data.Options()
    asked.experimental_distribute.auto_shard_policy = policy.DATA
    assert sliced.with_options(asked).options().experimental_distribute.auto_shard_policy == policy.DATA
