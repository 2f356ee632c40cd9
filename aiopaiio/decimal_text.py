"""Decimals as the text that the record form carries: plain, with all digits of the scale, such as ``-0.50``."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from aiopaiio.errors import SchemaMismatchError

__all__ = ["decimals_from_text", "text_from_decimals"]


def decimals_from_text(texts: pa.Array, arrow_type: pa.DataType) -> pa.Array:
    """Parse a binary array; raises :class:`SchemaMismatchError` for text that is no number or does not fit exactly."""
    try:
        return texts.cast(pa.string()).cast(arrow_type)
    except pa.ArrowException as error:
        raise SchemaMismatchError(f"not a value of {arrow_type}: {error}") from error


def text_from_decimals(array: pa.Array) -> pa.Array:
    """A binary array of the texts; ``array`` holds no NULL."""
    scale = array.type.scale
    # As whole numbers first: Arrow writes small fractions as 1E-7.
    whole_type = _without_scale(array.type)
    digits = pa.Array.from_buffers(whole_type, len(array), array.buffers(), offset=array.offset).cast(pa.string())
    if not scale:
        return digits.view(pa.binary())
    sign = pc.if_else(pc.starts_with(digits, "-"), "-", "")
    digits = pc.ascii_lpad(pc.ascii_ltrim(digits, "-"), scale + 1, "0")
    whole, fraction = pc.utf8_slice_codeunits(digits, 0, -scale), pc.utf8_slice_codeunits(digits, -scale)
    return pc.binary_join_element_wise(sign, whole, ".", fraction, "").view(pa.binary())


def _without_scale(arrow_type: pa.DataType) -> pa.DataType:
    make = pa.decimal128 if pa.types.is_decimal128(arrow_type) else pa.decimal256
    return make(arrow_type.precision, 0)
