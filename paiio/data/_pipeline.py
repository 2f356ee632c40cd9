"""From a generator of packed arrays to a ``tf.data.Dataset`` of rows or batches."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import tensorflow as tf

from paiio.data._ending import require_running
from paiio.data._iteration import Iteration
from paiio.data._packing import Layout
from paiio.data._plan import Plan
from paiio.data._tables import Read

__all__ = ["build_pipeline", "element_spec"]


def element_spec(layout: Layout, plan: Plan) -> tuple[Any, ...]:
    """What the elements look like: a tuple with a scalar, or a vector when there are batches, for each column."""
    batch = plan.batch_stage
    shape = [] if batch is None else [batch.rows if batch.drop_remainder else None]
    return tuple(tf.TensorSpec(shape, tf.as_dtype(default.dtype or tf.string)) for default in layout.defaults)


def build_pipeline(read: Read, plan: Plan, layout: Layout, filenames: Any) -> Any:
    """``filenames``: a vector of strings, or a dataset of strings or of vectors of them."""
    specs = element_spec(layout, plan)

    def generate(names: Any) -> Iterator[tuple[Any, ...]]:
        require_running()
        yield from Iteration(read, plan, layout, names.ravel().tolist()).arrays()

    # Elements come several at a time, so in front of their own dimensions there is one more.
    several = [tf.TensorShape([None]).concatenate(spec.shape) for spec in specs]
    signature = tuple(
        tf.TensorSpec([len(pack.positions)], tf.string)
        if pack.dtype is None
        else tf.TensorSpec(tf.TensorShape([len(pack.positions)]).concatenate(several[0]), tf.as_dtype(pack.dtype))
        for pack in layout.packs
    )

    def generated(names: Any) -> Any:
        return tf.data.Dataset.from_generator(generate, output_signature=signature, args=(names,))

    def elements(*packs: Any) -> Any:
        found: list[Any] = [None] * len(specs)
        for pack, array in zip(layout.packs, packs, strict=True):
            for position, column in zip(pack.positions, tf.unstack(array, axis=0), strict=True):
                if pack.dtype is None:
                    column = tf.ensure_shape(tf.io.parse_tensor(column, tf.string), several[position])
                found[position] = column
        # Not by map() and unbatch(): preparing a function with a thousand results takes TensorFlow half a second.
        return tf.data.Dataset.from_tensor_slices(tuple(found))

    if isinstance(filenames, tf.data.Dataset):
        packed = _all_at_once(filenames).flat_map(generated)
    else:
        packed = generated(filenames)
    # While some arrays are unpacked the next are packed.
    dataset = packed.prefetch(3).flat_map(elements)
    # Its generator repeats by itself; this one says so, and is never asked again, unless there is no row at all.
    return dataset.repeat() if plan.is_infinite else dataset


def _all_at_once(names: Any) -> Any:
    """A dataset of one vector with all elements."""
    shape = names.element_spec.shape
    if shape.rank is None or shape.rank > 0:
        names = names.flat_map(lambda some: tf.data.Dataset.from_tensor_slices(tf.reshape(some, [-1])))
    return names.batch(tf.int64.max)
