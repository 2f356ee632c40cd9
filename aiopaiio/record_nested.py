"""Values of the nested MaxCompute types in the record wire form, on top of :mod:`aiopaiio.record_cells`.

Nothing on the wire says how long a nested value is, so its parts are found by walking over it: the first element of
every row at once, then the second, and so on. Then all of them are read at once.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from aiopaiio.batch_pool import BATCH_POOL
from aiopaiio.errors import SchemaMismatchError
from aiopaiio.odps_types import OdpsType
from aiopaiio.pieces import Constant, Fixed, Pieces, Varints, join
from aiopaiio.record_cells import (
    DELIMITED,
    Booleans,
    Cells,
    CellType,
    Decimals,
    Floats,
    Integers,
    SecondsNanos,
    Strings,
    read_one_number,
    skip_one_number,
)
from aiopaiio.varints import Positions, StrayError, Wire, read_numbers

__all__ = ["cell_type", "spread_array", "write_present"]

_FEW = 32  # below so many rows, a step for all of them at once costs more than one for each


class Vectors(CellType):
    """A count, which is the type's dimension, and that many FLOAT or DOUBLE, none of them NULL."""

    wire_type = DELIMITED

    def __init__(self, element: Floats, arrow_type: pa.DataType, dimension: int) -> None:
        self._element = element
        self._arrow_type = arrow_type
        self._dimension = dimension

    def read(self, wire: Wire, at: Positions, limits: Positions) -> Cells:
        counts, after = read_numbers(wire, at)
        ends = after + self._dimension * self._element.width
        if (ends > limits).any():
            raise StrayError("a vector that goes beyond its record", beyond=True)
        if (counts != self._dimension).any():
            raise StrayError(f"a vector that has not {self._dimension} elements")
        each = after[:, None] + np.arange(self._dimension) * self._element.width
        cells = self._element.read(wire, each.reshape(-1), limits)
        bounds = np.arange(len(at) + 1) * self._dimension
        return Cells(lambda: _list(self._arrow_type, bounds, cells.array()), cells.summed.group(bounds), ends)

    def skip(self, wire: Wire, at: Positions) -> Positions:
        return read_numbers(wire, at)[1] + self._dimension * self._element.width

    def skip_one(self, content: memoryview, at: int) -> int:
        return skip_one_number(content, at) + self._dimension * self._element.width

    def write(self, array: pa.Array) -> tuple[list[Pieces], list[Pieces]]:
        elements = array.flatten()
        counts = np.diff(_offsets(array))
        if (counts != self._dimension).any() or elements.null_count:
            raise SchemaMismatchError(f"a vector of this column has {self._dimension} elements, none of them NULL")
        each = join(self._element.write(elements)[0], len(elements))
        content = each.group(np.arange(len(array) + 1) * self._dimension)
        return [Varints(counts.astype(np.uint64)), content], [content]


class Arrays(CellType):
    """A count, then each element: a byte that is 1 for NULL, else 0 and the value."""

    wire_type = DELIMITED

    def __init__(self, element: CellType, arrow_type: pa.DataType) -> None:
        self._element = element
        self._arrow_type = arrow_type

    def read(self, wire: Wire, at: Positions, limits: Positions) -> Cells:
        bounds, elements = self.read_elements(wire, at, limits)
        return Cells(
            lambda: _list(self._arrow_type, bounds, elements.array()), elements.summed.group(bounds), elements.after
        )

    def read_elements(self, wire: Wire, at: Positions, limits: Positions) -> tuple[Positions, Cells]:
        """The bounds of each array in the run of all their elements, and those; ``after`` is that of the arrays."""
        counts, bounds, starts, after = self._walk(wire, at, limits)
        present = wire.bytes[starts] == 0
        where = starts[present] + 1
        cells = self._element.read(wire, where, np.repeat(limits, counts)[present])
        if len(where) == len(starts):
            return bounds, Cells(cells.array, cells.summed, after)
        return bounds, Cells(lambda: spread_array(cells.array(), present), cells.summed.spread(present), after)

    def _walk(self, wire: Wire, at: Positions, limits: Positions) -> tuple[Positions, Positions, Positions, Positions]:
        """Find every element: counts, bounds, where each begins, and the positions after the arrays."""
        numbers, position = read_numbers(wire, at)
        if (position > limits).any():
            raise StrayError("an array that goes beyond its record", beyond=True)
        # Each element has at least its flag; so damage cannot make this loop long.
        if (numbers > (limits - position).astype(np.uint64)).any():
            raise StrayError("an array that goes beyond its record", beyond=True)
        counts = numbers.view(np.int64)
        bounds = np.concatenate([[0], np.cumsum(counts)])
        starts = np.empty(bounds[-1], np.int64)
        # Rows with most elements first: those that have an element number n are then the first so many.
        order = np.argsort(-counts, kind="stable")
        position, ordered, first = position[order], counts[order], bounds[order]
        limit = limits[order]
        having = np.searchsorted(-ordered, -np.arange(1, ordered[0] + 1 if len(ordered) else 1), side="right").tolist()
        for number, count in enumerate(having):
            if count < _FEW:
                for row in range(count):
                    position[row] = self._walk_one(
                        wire.view, int(position[row]), starts, int(first[row]) + number, int(first[row] + ordered[row])
                    )
                break
            here = position[:count]
            starts[first[:count] + number] = here
            flags = wire.bytes[here]
            if (flags > 1).any():
                raise StrayError("a NULL flag other than 0 and 1")
            if flags.any():
                there = np.flatnonzero(flags == 0)
                after = self._element.skip(wire, here[there] + 1)
                position[:count] += 1
                position[there] = after
            else:
                position[:count] = self._element.skip(wire, here + 1)
            if (position[:count] > limit[:count]).any():
                raise StrayError("an array that goes beyond its record", beyond=True)
        if (position > limit).any():
            raise StrayError("an array that goes beyond its record", beyond=True)
        after = np.empty_like(position)
        after[order] = position
        return counts, bounds, starts, after

    def _walk_one(self, content: memoryview, at: int, starts: Positions, first: int, stop: int) -> int:
        skip_one = self._element.skip_one
        found = []
        for _ in range(first, stop):
            found.append(at)
            flag = content[at]
            if flag > 1:
                raise StrayError("a NULL flag other than 0 and 1")
            at = at + 1 if flag else skip_one(content, at + 1)
        starts[first:stop] = found
        return at

    def skip(self, wire: Wire, at: Positions) -> Positions:
        return self._walk(wire, at, np.full(len(at), wire.size))[3]

    def skip_one(self, content: memoryview, at: int) -> int:
        count, after = read_one_number(content, at)
        for _ in range(count):
            after = after + 1 if content[after] else self._element.skip_one(content, after + 1)
        return after

    def write(self, array: pa.Array) -> tuple[list[Pieces], list[Pieces]]:
        return self.write_elements(array.flatten(), _offsets(array))

    def write_elements(self, elements: pa.Array, bounds: Positions) -> tuple[list[Pieces], list[Pieces]]:
        wire, summed = _write_flagged(self._element, elements)
        content, under_checksum = join(wire, len(elements)), join(summed, len(elements))
        counts = Varints(np.diff(bounds).astype(np.uint64))
        return [counts, content.group(bounds)], [under_checksum.group(bounds)]


class Maps(CellType):
    """The keys as an array, then the values as another."""

    wire_type = DELIMITED

    def __init__(self, keys: Arrays, values: Arrays, arrow_type: pa.DataType) -> None:
        self._keys = keys
        self._values = values
        self._arrow_type = arrow_type

    def read(self, wire: Wire, at: Positions, limits: Positions) -> Cells:
        key_bounds, keys = self._keys.read_elements(wire, at, limits)
        bounds, values = self._values.read_elements(wire, keys.after, limits)
        if (bounds != key_bounds).any():
            raise StrayError("a map with another number of keys than of values")

        def array() -> pa.Array:
            key_array = keys.array()
            if key_array.null_count:
                raise SchemaMismatchError("a map with a NULL key")
            entries = pa.StructArray.from_arrays(
                [key_array, values.array()], fields=[self._arrow_type.key_field, self._arrow_type.item_field]
            )
            return _list(self._arrow_type, bounds, entries)

        summed = join([keys.summed.group(bounds), values.summed.group(bounds)], len(at))
        return Cells(array, summed, values.after)

    def skip(self, wire: Wire, at: Positions) -> Positions:
        return self._values.skip(wire, self._keys.skip(wire, at))

    def skip_one(self, content: memoryview, at: int) -> int:
        return self._values.skip_one(content, self._keys.skip_one(content, at))

    def write(self, array: pa.Array) -> tuple[list[Pieces], list[Pieces]]:
        offsets = _offsets(array, from_start=False)
        first, count = int(offsets[0]), int(offsets[-1] - offsets[0])
        bounds = offsets - first
        keys = self._keys.write_elements(array.keys.slice(first, count), bounds)
        values = self._values.write_elements(array.items.slice(first, count), bounds)
        return [*keys[0], *values[0]], [*keys[1], *values[1]]


class Structs(CellType):
    """For each field a byte that is 1 for NULL, else 0 and the value."""

    wire_type = DELIMITED

    def __init__(self, children: list[CellType], arrow_type: pa.DataType) -> None:
        self._children = children
        self._arrow_type = arrow_type

    def read(self, wire: Wire, at: Positions, limits: Positions) -> Cells:
        arrays: list[Callable[[], pa.Array]] = []
        summed: list[Pieces] = []
        for child in self._children:
            present = self._present(wire, at)
            where = np.flatnonzero(present)
            cells = child.read(wire, at[where] + 1, limits[where])
            at = at + 1
            at[where] = cells.after
            arrays.append(lambda cells=cells, present=present: spread_array(cells.array(), present))  # type: ignore[misc]
            summed.append(cells.summed if len(where) == len(at) else cells.summed.spread(present))

        def array() -> pa.Array:
            return pa.StructArray.from_arrays([make() for make in arrays], fields=list(self._arrow_type))

        return Cells(array, join(summed, len(at)), at)

    def _present(self, wire: Wire, at: Positions) -> npt.NDArray[np.bool_]:
        flags = wire.bytes[at]
        if (flags > 1).any():
            raise StrayError("a NULL flag other than 0 and 1")
        present: npt.NDArray[np.bool_] = flags == 0
        return present

    def skip(self, wire: Wire, at: Positions) -> Positions:
        for child in self._children:
            where = np.flatnonzero(self._present(wire, at))
            after = child.skip(wire, at[where] + 1)
            at = at + 1
            at[where] = after
        return at

    def skip_one(self, content: memoryview, at: int) -> int:
        for child in self._children:
            at = at + 1 if content[at] else child.skip_one(content, at + 1)
        return at

    def write(self, array: pa.Array) -> tuple[list[Pieces], list[Pieces]]:
        written = [_write_flagged(child, cells) for child, cells in zip(self._children, array.flatten(), strict=True)]
        return [piece for wire, _ in written for piece in wire], [piece for _, summed in written for piece in summed]


def _write_flagged(cell_type: CellType, array: pa.Array) -> tuple[list[Pieces], list[Pieces]]:
    """Cells inside a nested value: NULL is a byte 1, anything else follows a byte 0."""
    if not array.null_count:
        wire, summed = cell_type.write(array)
        return [Constant(b"\0", len(array)), *wire], summed
    present = array.is_valid().to_numpy(zero_copy_only=False)
    wire, summed = write_present(cell_type, array, present)
    return [Fixed((~present).view(np.uint8)), *wire], summed


def write_present(
    cell_type: CellType, array: pa.Array, present: npt.NDArray[np.bool_]
) -> tuple[list[Pieces], list[Pieces]]:
    """Write the cells that are not NULL, which is where ``present``; the pieces of the others are empty."""
    if cell_type.writes_absent:
        wire, summed = cell_type.write(array)
        for piece in {*wire, *summed}:
            piece.present = present
        return wire, summed
    wire, summed = cell_type.write(array.drop_null())
    count = len(array) - array.null_count
    return [join(wire, count).spread(present)], [join(summed, count).spread(present)]


def spread_array(array: pa.Array, present: npt.NDArray[np.bool_]) -> pa.Array:
    """The cells of ``array`` at the rows where ``present``, NULL at the others."""
    if len(array) == len(present):
        return array
    if not len(array):
        return pa.nulls(len(present), array.type)
    if pa.types.is_primitive(array.type) and array.type.bit_width >= 8 and not array.null_count:
        dtype = f"u{array.type.bit_width // 8}"
        cells = np.zeros(len(present), dtype)
        cells[present] = np.frombuffer(array.buffers()[1], dtype, len(array), array.offset * cells.itemsize)
        valid = pa.py_buffer(np.packbits(present, bitorder="little"))
        return pa.Array.from_buffers(array.type, len(present), [valid, pa.py_buffer(cells)])
    places = pa.array(np.cumsum(present) - 1, mask=~present)
    return pc.take(array, places, boundscheck=False, memory_pool=BATCH_POOL)


def _list(arrow_type: pa.DataType, bounds: Positions, elements: pa.Array) -> pa.Array:
    offsets = pa.py_buffer(bounds.astype(np.int32))
    return pa.Array.from_buffers(arrow_type, len(bounds) - 1, [None, offsets], children=[elements])


def _offsets(array: pa.Array, *, from_start: bool = True) -> Positions:
    """Where each list or map begins among its elements; ``from_start`` counts from the first one's."""
    if not len(array):
        return np.zeros(1, np.int64)
    offsets = np.frombuffer(array.buffers()[1], np.int32, len(array) + 1, array.offset * 4).astype(np.int64)
    return offsets - offsets[0] if from_start else offsets


def cell_type(odps_type: OdpsType, arrow_type: pa.DataType) -> CellType:
    """The cell type of a MaxCompute type that is carried by ``arrow_type``."""
    match odps_type.name:
        case "boolean":
            return Booleans()
        case "float" | "double":
            return Floats(arrow_type)
        case "decimal":
            return Decimals(arrow_type)
        case "timestamp" | "timestamp_ntz" | "interval_day_time":
            return SecondsNanos(wide=pa.types.is_struct(arrow_type))
        case "vector":
            return Vectors(Floats(arrow_type.value_type), arrow_type, odps_type.parameters[0])
        case "array":
            return Arrays(cell_type(odps_type.children[0], arrow_type.value_type), arrow_type)
        case "map":
            keys = cell_type(odps_type.children[0], arrow_type.key_type)
            values = cell_type(odps_type.children[1], arrow_type.item_type)
            # Only their elements are used, so the arrays' own type does not matter.
            return Maps(Arrays(keys, arrow_type), Arrays(values, arrow_type), arrow_type)
        case "struct":
            children = [
                cell_type(child, arrow_type.field(number).type) for number, child in enumerate(odps_type.children)
            ]
            return Structs(children, arrow_type)
    if pa.types.is_string(arrow_type) or pa.types.is_binary(arrow_type):
        return Strings(arrow_type)
    return Integers(arrow_type)
