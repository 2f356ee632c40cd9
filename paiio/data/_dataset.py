"""``TableRecordDataset``: a dataset of rows that works in batches as long as it can."""

from __future__ import annotations

import operator
import os
from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from typing import Any

import numpy as np
import tensorflow as tf

from aiopaiio.columns import check_column_lists, parse_column_names
from aiopaiio.errors import UsageError
from aiopaiio.slicing import RowRange, slice_rows
from aiopaiio.stream_count import MOST_STREAMS
from aiopaiio.table_path import parse_paths
from paiio.data._defaults import Default, parse_default
from paiio.data._errors import RecordDefaultsError
from paiio.data._packing import Layout
from paiio.data._pipeline import build_pipeline, element_spec
from paiio.data._plan import Order, Plan
from paiio.data._tables import Read

__all__ = ["TableRecordDataset"]


class TableRecordDataset(tf.compat.v1.data.Dataset):  # type: ignore[misc]  # TensorFlow has no types
    """The rows of tables, in order: a ``tf.data.Dataset`` of tuples with a scalar for each column.

    ``filenames``: a table path ``odps://PROJECT/tables/TABLE[/KEY=VALUE...][?start=A&end=B]``, a list or tuple of them,
    a string tensor, or a ``tf.data.Dataset`` of strings; all tables must have the same schema. ``record_defaults``: a
    list or tuple with, for each column, what stands for NULL; it also gives the type: a Python float float32, int
    int32, bool bool, str string, a NumPy scalar or a tensor its own type (float32, float64, int32, int64, bool,
    string), a list of one element that element's. Strings are the column's bytes. ``selected_cols`` /
    ``excluded_cols``: column names, comma-separated; not both; partition columns only when they are selected.
    ``slice_id`` of ``slice_count`` contiguous slices of each table (:func:`paiio.data.slice_from_tf_config` gives
    both for a worker of a cluster). ``num_threads``: downloads at once for one table, 1 to 64; 0: a quarter of the
    processors. ``capacity``: rows held ahead, in all downloads together; 0: about 64 MB each.

    ``batch``, ``repeat``, ``shuffle``, ``take``, ``skip`` and ``shard`` (and ``with_options``) applied to it directly,
    in any sensible order, give the elements that they give for any dataset, but work on whole columns: ``skip`` is a
    seek, which downloads nothing, and ``batch`` never makes single rows. So apply ``map`` after ``batch``. Everything
    else gives an ordinary dataset of the rows or batches. A ``shuffle`` orders rows as its ``seed`` says, but not as
    TensorFlow's own would. As with any ``Dataset.from_generator`` the rows come from this Python process.

    Several workers: ``slice_id`` and ``slice_count`` read a part of the table each. With more than one slice the
    option ``experimental_distribute.auto_shard_policy`` is off, so that ``tf.distribute`` does not divide again what is
    divided already; ``shard`` reads the whole slice and gives a part of it.

    After ``fork`` a child may make datasets and read them, also those made before, unless TensorFlow itself has run
    before: it promises nothing to a child that inherits its threads. Start such workers by ``spawn``.

    Arguments that cannot be right raise :class:`aiopaiio.UsageError` (a ``ValueError``) at once. What only shows with
    the table - a wrong number of columns, a column that cannot be read as asked, a value out of range - is raised
    while it is iterated over, as a ``tf.errors.OpError`` whose first line names the error's class, the table, the
    column and the request id.
    """

    def __init__(
        self,
        filenames: Any,
        record_defaults: Sequence[Any],
        selected_cols: str | Iterable[str] | None = None,
        excluded_cols: str | Iterable[str] | None = None,
        slice_id: int = 0,
        slice_count: int = 1,
        num_threads: int = 0,
        capacity: int = 0,
    ) -> None:
        selected, excluded = parse_column_names(selected_cols), parse_column_names(excluded_cols)
        check_column_lists(selected, excluded)
        defaults = _parse_defaults(record_defaults)
        part, parts = _number("slice_id", slice_id), _number("slice_count", slice_count)
        slice_rows(RowRange(0, 0), part, parts)
        streams = _not_negative("num_threads", num_threads) or max(1, _processors() // 4)
        read = Read(
            defaults=defaults,
            selected_cols=selected,
            excluded_cols=excluded,
            slice_id=part,
            slice_count=parts,
            streams=min(streams, MOST_STREAMS),
            capacity_rows=_not_negative("capacity", capacity),
        )
        options = tf.data.Options()
        if parts > 1:
            options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
        self._set_up(read, _names(filenames), Layout(defaults), Plan(), options)

    def _set_up(self, read: Read, filenames: Any, layout: Layout, plan: Plan, options: Any) -> None:
        self._read = read
        self._filenames = filenames
        self._layout = layout
        self._plan = plan
        self._wanted_options = options
        self._pipeline: Any = None
        # A pipeline costs tracing, and most of a chain's are never used. Outside of graphs it can wait.
        self._is_lazy = tf.executing_eagerly()
        super().__init__()

    def _derived(self, plan: Plan, options: Any = None) -> TableRecordDataset:
        derived: TableRecordDataset = type(self).__new__(type(self))
        derived._set_up(self._read, self._filenames, self._layout, plan, options or self._wanted_options)
        return derived

    # ----------------------------------------------------------------------------------------------- what tf.data asks

    @property
    def _dataset(self) -> Any:
        """The ordinary dataset behind it; TensorFlow looks for it under this name."""
        if self._pipeline is None:
            with tf.init_scope() if self._is_lazy else nullcontext():
                pipeline = build_pipeline(self._read, self._plan, self._layout, self._filenames)
                self._pipeline = pipeline.with_options(self._wanted_options)
        return self._pipeline

    def _as_variant_tensor(self) -> Any:
        return None if self._is_lazy else self._dataset._variant_tensor

    @property
    def _variant_tensor(self) -> Any:
        return self._dataset._variant_tensor

    def _inputs(self) -> list[Any]:
        return [] if self._pipeline is None else self._pipeline._inputs()

    def options(self) -> Any:
        """The options that were set."""
        return self._dataset.options()

    @property
    def element_spec(self) -> Any:
        """A tuple with the shape and type of each column."""
        return element_spec(self._layout, self._plan)

    def __iter__(self) -> Any:
        return iter(self._dataset)

    # ------------------------------------------------------------------------------------ operations on whole columns

    def batch(
        self,
        batch_size: Any,
        drop_remainder: Any = False,
        num_parallel_calls: Any = None,
        deterministic: Any = None,
        name: str | None = None,
    ) -> Any:
        """As ``tf.data.Dataset.batch``; ``num_parallel_calls`` and ``deterministic`` change nothing."""
        rows, drop = _static(batch_size), _static(drop_remainder)
        plan = None if rows is None or drop is None else self._plan.batch(rows, bool(drop))
        if plan is None:
            return super().batch(batch_size, drop_remainder, num_parallel_calls, deterministic, name)
        return self._derived(plan)

    def repeat(self, count: Any = None, name: str | None = None) -> Any:
        """As ``tf.data.Dataset.repeat``; each time the tables are opened anew and read from the slice's start."""
        times = -1 if count is None else _static(count)
        return super().repeat(count, name) if times is None else self._derived(self._plan.repeat(times))

    def shuffle(
        self, buffer_size: Any, seed: Any = None, reshuffle_each_iteration: Any = None, name: str | None = None
    ) -> Any:
        """As ``tf.data.Dataset.shuffle``: random rows out of the next ``buffer_size``, the same for the same seeds."""
        rows, op_seed = _static(buffer_size), None if seed is None else _static(seed)
        if rows is None or (seed is not None and op_seed is None) or not self._plan.can_shuffle(rows):
            return super().shuffle(buffer_size, seed, reshuffle_each_iteration, name)
        seeds = tf.compat.v1.get_seed(op_seed)
        known = None if seeds[0] is None else tuple(int(part) % (1 << 64) for part in seeds)
        order = Order(known, reshuffle=reshuffle_each_iteration is None or bool(reshuffle_each_iteration))
        return self._derived(self._plan.shuffle(rows, order))

    def skip(self, count: Any, name: str | None = None) -> Any:
        """As ``tf.data.Dataset.skip``; rows skipped are not downloaded."""
        number = _static(count)
        return super().skip(count, name) if number is None else self._derived(self._plan.skip(number))

    def take(self, count: Any, name: str | None = None) -> Any:
        """As ``tf.data.Dataset.take``; rows behind the last one taken are not downloaded."""
        number = _static(count)
        return super().take(count, name) if number is None else self._derived(self._plan.take(number))

    def shard(self, num_shards: Any, index: Any, name: str | None = None) -> Any:
        """As ``tf.data.Dataset.shard``: every ``num_shards``-th row; ``slice_id`` divides without reading all rows."""
        shards, number = _static(num_shards), _static(index)
        plan = None if shards is None or number is None else self._plan.shard(shards, number)
        return super().shard(num_shards, index, name) if plan is None else self._derived(plan)

    def apply(self, transformation_func: Any) -> Any:
        """As ``tf.data.Dataset.apply``."""
        made = transformation_func(self)
        return made if isinstance(made, TableRecordDataset) else super().apply(lambda _: made)

    def with_options(self, options: Any, name: str | None = None) -> Any:
        """As ``tf.data.Dataset.with_options``."""
        return self._derived(self._plan, self._wanted_options.merge(options))


def _names(filenames: Any) -> Any:
    """A vector of strings, or a dataset; paths that are known already are looked at."""
    if isinstance(filenames, tf.data.Dataset):
        spec = filenames.element_spec
        if not isinstance(spec, tf.TensorSpec) or spec.dtype != tf.string:
            raise UsageError(f"a dataset of filenames must have strings as its elements, not {spec}")
        if tf.executing_eagerly() and _is_infinite(filenames):
            raise UsageError("the dataset of filenames never ends; repeat the TableRecordDataset instead")
        return filenames
    known = filenames if not tf.is_tensor(filenames) else tf.get_static_value(filenames)
    if known is not None:
        texts = [known] if isinstance(known, (str, bytes)) else np.asarray(known, object).ravel().tolist()
        strange = [text for text in texts if not isinstance(text, (str, bytes))]
        if strange:
            raise UsageError(
                f"filenames are table paths, each a str, not {type(strange[0]).__name__} {strange[0]!r:.50}"
            )
        paths = parse_paths([text.decode() if isinstance(text, bytes) else text for text in texts])
        if not paths:
            raise UsageError("filenames names no table")
        # A value, and no tensor: it goes into whichever graph the dataset is used in.
        return np.array([str(path).encode() for path in paths], object)
    if filenames.dtype != tf.string:
        raise UsageError(f"filenames must be strings, not {filenames.dtype.name}")
    return tf.reshape(filenames, [-1])


def _is_infinite(dataset: Any) -> bool:
    return bool(dataset.cardinality() == tf.data.INFINITE_CARDINALITY)


def _parse_defaults(record_defaults: Any) -> tuple[Default, ...]:
    known = tf.get_static_value(record_defaults) if tf.is_tensor(record_defaults) else record_defaults
    if not isinstance(known, (list, tuple, np.ndarray)) or not len(known):
        raise RecordDefaultsError("record_defaults must be a list or tuple with a value for each column")
    return tuple(parse_default(_value_of(value, position), position) for position, value in enumerate(known))


def _value_of(value: Any, position: int) -> Any:
    if not tf.is_tensor(value):
        return value
    known = tf.get_static_value(value)
    if known is None:
        raise RecordDefaultsError(f"record_defaults[{position}] is a tensor whose value is not known yet")
    return np.asarray(known)


def _static(value: Any) -> int | None:
    """A whole number or flag, if it is known now."""
    if tf.is_tensor(value):
        value = tf.get_static_value(value)
    try:
        return operator.index(np.asarray(value).item() if isinstance(value, np.ndarray) else value)
    except (TypeError, ValueError):
        return None


def _number(name: str, value: Any) -> int:
    number = _static(value)
    if number is None:
        raise UsageError(f"{name} must be a whole number that is known now, not {value!r}")
    return number


def _not_negative(name: str, value: Any) -> int:
    number = _number(name, value)
    if number < 0:
        raise UsageError(f"{name} must not be negative, not {number}")
    return number


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
