"""The names under which older programs know this interface. Importing this package makes them importable:

* ``common_io.table.TableReader``, ``common_io.table.TableWriter``, ``common_io.exception.OutOfRangeException``;
* once the program itself imports TensorFlow: ``tf.python_io.TableReader``, ``TableWriter``, ``OutOfRangeException``
  and ``tf.data.TableRecordDataset``, in ``tf`` and in ``tf.compat.v1``.

Without an edit to the program, ``python -m paiio.compat PROGRAM ARGS...`` runs it with these names, and so does
``PYTHONPATH="$(python -m paiio.compat --path)"`` for every Python that is started with it: that folder holds
``common_io`` and a ``sitecustomize`` that imports this package. Python reads no variable of ours by itself, which is
why it is that one. The first way sets it for the processes that the program starts.

An installed ``common_io`` is passed over. TensorFlow is never imported from here.
"""

from __future__ import annotations

from paiio.compat._hooks import NAMES_FOLDER, install

__all__ = ["NAMES_FOLDER"]

install()
