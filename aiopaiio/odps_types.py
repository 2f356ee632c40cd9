"""MaxCompute types as values: type text in, a small immutable tree out.

Text that is more than a word is parsed by PyODPS, which is imported for the first such text only: importing it takes
longer than all else this library needs. Nothing else of PyODPS's type objects leaves this file, because those convert
values by process-wide options and need pandas for timestamps.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

from aiopaiio.errors import SchemaMismatchError

__all__ = ["ONE_WORD", "OdpsType", "needs_parser", "normal_type", "parse_type", "type_parser"]

ONE_WORD = frozenset(
    (
        *("tinyint", "smallint", "int", "bigint", "float", "double", "decimal", "boolean"),
        *("string", "binary", "json", "blob", "geography", "variant"),
        *("date", "datetime", "timestamp", "timestamp_ntz", "interval_day_time", "interval_year_month"),
    )
)
"""The types that are written as one word."""

_PLAIN_NAME = re.compile(r"[a-z_][a-z0-9_]*", re.ASCII)
_SPACES_AND_QUOTES = re.compile(r"[\s`]")
_ONE_DIGIT_COUNT = re.compile(r"decimal\((\d+)\)")
_MAX_DECIMAL_PRECISION = 76  # what Arrow can hold; MaxCompute itself stops at 38


@dataclass(frozen=True, slots=True)
class OdpsType:
    """One type.

    ``name`` is MaxCompute's lower-case word (``bigint``, ``decimal``, ``array``, ...). ``parameters`` are the numbers
    in parentheses: precision and scale, a length, a vector's dimension; empty for the legacy ``decimal``. ``children``
    are the element types (array, vector: one; map: key and value; struct: its fields, named by ``field_names``).
    """

    name: str
    parameters: tuple[int, ...] = ()
    children: tuple[OdpsType, ...] = ()
    field_names: tuple[str, ...] = ()

    def __str__(self) -> str:
        """The normal spelling, without spaces; equal types have equal text."""
        if self.name == "struct":
            fields = zip(self.field_names, self.children, strict=True)
            return "struct<" + ",".join(f"{_quoted(name)}:{child}" for name, child in fields) + ">"
        if self.name == "vector":
            return f"vector({self.children[0]},{self.parameters[0]})"
        if self.children:
            return f"{self.name}<" + ",".join(map(str, self.children)) + ">"
        if self.parameters:
            return f"{self.name}(" + ",".join(map(str, self.parameters)) + ")"
        return self.name

    def holds(self, *names: str) -> bool:
        """Whether this type, or a type anywhere inside it, is one of ``names``."""
        return self.name in names or any(child.holds(*names) for child in self.children)


def needs_parser(text: str) -> bool:
    """Whether it takes :func:`type_parser` to parse this type."""
    return text.strip().lower() not in ONE_WORD


@cache
def type_parser() -> Any:
    """PyODPS's module of types. The first call imports it, which takes about half a second."""
    from odps import types

    return types


@lru_cache(maxsize=4096)
def parse_type(text: str) -> OdpsType:
    """Parse a type in any case and spacing; raises :class:`SchemaMismatchError` when it is not a known type."""
    if not needs_parser(text):
        return OdpsType(text.strip().lower())
    parsed = _parse(text)
    # PyODPS overlooks trailing text, missing brackets and struct fields of the same name.
    if _letters(_ONE_DIGIT_COUNT.sub(r"decimal(\1,0)", _letters(text))) != _letters(str(parsed)):
        raise SchemaMismatchError(f"{text!r} is not a MaxCompute type: only {parsed} of it can be read")
    if parsed.name == "decimal" and parsed.parameters and parsed.parameters[0] > _MAX_DECIMAL_PRECISION:
        raise SchemaMismatchError(f"{text!r}: a decimal has at most {_MAX_DECIMAL_PRECISION} digits")
    return parsed


@lru_cache(maxsize=4096)
def normal_type(text: str) -> str:
    """The normal spelling of a type; a type this library does not know is only lower-cased.

    So a table with an exotic column can be listed and its other columns read; using that column raises.
    """
    try:
        return str(parse_type(text))
    except SchemaMismatchError:
        return text.strip().lower()


def _letters(text: str) -> str:
    return _SPACES_AND_QUOTES.sub("", text).lower()


def _quoted(name: str) -> str:
    return name if _PLAIN_NAME.fullmatch(name) else "`" + name.replace("`", "``") + "`"


def _parse(text: str) -> OdpsType:
    types = type_parser()

    def tree(parsed: Any) -> OdpsType:
        match parsed:
            case types.Array():
                return OdpsType("array", children=(tree(parsed.value_type),))
            case types.Map():
                return OdpsType("map", children=(tree(parsed.key_type), tree(parsed.value_type)))
            case types.Struct():
                fields = parsed.field_types
                return OdpsType("struct", children=tuple(map(tree, fields.values())), field_names=tuple(fields))
            case types.Vector():
                return OdpsType("vector", parameters=(parsed.dimension,), children=(tree(parsed.element_type),))
            case types.Decimal():
                # decimal(10) is decimal(10,0), and is reported so; plain decimal is the legacy type without digits.
                digits = () if parsed.precision is None else (parsed.precision, parsed.scale or 0)
                return OdpsType("decimal", parameters=digits)
            case types.Char() | types.Varchar():
                return OdpsType(type(parsed).__name__.lower(), parameters=(parsed.size_limit,))
        return OdpsType(parsed.name)

    try:
        return tree(types.validate_data_type(text))
    except (ValueError, TypeError, AttributeError, IndexError) as error:
        raise SchemaMismatchError(f"{text!r} is not a MaxCompute type known to this library: {error}") from error
