"""Which slice a worker of a cluster reads."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

from aiopaiio.errors import ConfigError

__all__ = ["slice_from_tf_config"]

_READERS = ("chief", "master", "worker")
_OTHERS = ("evaluator", "ps")


def slice_from_tf_config(tf_config: str | Mapping[str, Any] | None = None) -> tuple[int, int]:
    """``slice_id`` and ``slice_count`` for this process, from ``TF_CONFIG``.

    Every chief (or master) and worker of the cluster reads one slice, the chief the first. An evaluator, and a process
    without ``TF_CONFIG``, reads the whole table: ``(0, 1)``. ``tf_config`` is the text, or what it says, in place of
    the environment variable. Raises :class:`aiopaiio.ConfigError` when it makes no sense.
    """
    text = os.environ.get("TF_CONFIG", "") if tf_config is None else tf_config
    try:
        config = json.loads(text or "{}") if isinstance(text, str) else text
        cluster, task = config.get("cluster") or {}, config.get("task") or {}
        sizes = [(kind, len(cluster[kind])) for kind in _READERS if kind in cluster]
        kind, index = task.get("type", "worker"), int(task.get("index", 0))
    except (ValueError, TypeError, AttributeError) as error:
        raise ConfigError(f"TF_CONFIG is not what TensorFlow expects: {error}") from None
    if not sizes or kind in _OTHERS:
        return 0, 1
    before = 0
    for name, size in sizes:
        if name == kind and 0 <= index < size:
            return before + index, sum(size for _, size in sizes)
        before += size
    raise ConfigError(f"TF_CONFIG: task {index} of {kind!r} is not in the cluster of {dict(sizes)}")
