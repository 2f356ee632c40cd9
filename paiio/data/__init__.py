"""Tables as ``tf.data.Dataset``. The only package here that imports TensorFlow.

dataset = paiio.data.TableRecordDataset("odps://PROJECT/tables/TABLE", record_defaults=[0, 0.0, ""])
for ids, scores, texts in dataset.shuffle(100_000).batch(1024).prefetch(2): ...
"""

from __future__ import annotations

try:
    import tensorflow as _tensorflow  # noqa: F401 - only to say at once, and plainly, that it is not there
except ModuleNotFoundError as error:
    if error.name != "tensorflow":
        raise
    raise ImportError(
        "paiio.data needs TensorFlow, which is not installed: pip install 'aiopaiio[tensorflow]'", name="tensorflow"
    ) from error

from paiio.data._dataset import TableRecordDataset
from paiio.data._errors import RecordDefaultsError, ValueRangeError
from paiio.data._workers import slice_from_tf_config

__all__ = ["RecordDefaultsError", "TableRecordDataset", "ValueRangeError", "slice_from_tf_config"]

for _public in (RecordDefaultsError, TableRecordDataset, ValueRangeError, slice_from_tf_config):
    _public.__module__ = __name__
