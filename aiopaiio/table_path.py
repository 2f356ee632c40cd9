"""Table paths: ``odps://PROJECT/tables/TABLE[/PARTITION...][?start=A&end=B]``. Text to values, nothing else."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from urllib.parse import parse_qsl, quote, unquote

from aiopaiio.errors import SliceError, TablePathError
from aiopaiio.slicing import RowRange

__all__ = ["PartitionSpec", "TablePath", "named_paths", "parse_paths"]

_FORM = "odps://PROJECT/tables/TABLE[/KEY=VALUE...][?start=FIRST&end=ONE_PAST_LAST]"
_NAME = re.compile(r"[A-Za-z0-9_\u0080-\uffff][\w\u0080-\uffff-]*\Z")
_NEXT_PATH = re.compile(r",\s*(?=\w+://)")
_PLAIN_IN_PATHS = " !$'()*+-.:;=@[]^_`{|}~"


@dataclass(frozen=True, slots=True)
class PartitionSpec:
    """The values of all partition columns, in the table's order: ``(("ds", "20240101"), ("hh", "01"))``."""

    values: tuple[tuple[str, str], ...]

    @classmethod
    def parse(cls, text: str) -> PartitionSpec:
        """From ``ds=20240101,hh=01`` or ``ds=20240101/hh=01``; blanks and quotes around values are dropped."""
        return cls._of_parts(re.split(r"[,/]", text))

    @classmethod
    def _of_parts(cls, parts: list[str]) -> PartitionSpec:
        values = []
        for part in parts:
            name, equals, value = part.partition("=")
            name, value = name.strip().lower(), value.strip().strip("'\"")
            if not equals or not _NAME.match(name) or not value:
                raise TablePathError(f"partition {'/'.join(parts)!r} is not of the form KEY=VALUE[/KEY=VALUE...]")
            values.append((name, value))
        if len({name for name, _ in values}) < len(values):
            raise TablePathError(f"partition {'/'.join(parts)!r} names a partition column twice")
        return cls(tuple(values))

    def __str__(self) -> str:
        """The form of the Tunnel protocol: ``ds=20240101,hh=01``."""
        return ",".join(f"{name}={value}" for name, value in self.values)

    @property
    def path_form(self) -> str:
        """The form of a table path: ``ds=20240101/hh=01``, separators inside values percent-encoded."""
        return "/".join(f"{name}={quote(value, safe=_PLAIN_IN_PATHS)}" for name, value in self.values)

    def get(self, name: str) -> str | None:
        """The value of one partition column, or None when it is not one of them."""
        return dict(self.values).get(name)


@dataclass(frozen=True, slots=True)
class TablePath:
    """A table, some of its partitions, and some of its rows.

    Without ``partitions`` the whole of an unpartitioned table is meant. ``rows`` counts over the partitions in the
    order named; None means all.
    """

    project: str
    table: str
    schema: str | None = None
    partitions: tuple[PartitionSpec, ...] = ()
    rows: RowRange | None = None

    @classmethod
    def parse(cls, text: str) -> TablePath:
        """Read a path; raises :class:`~aiopaiio.errors.TablePathError` that shows the expected form."""
        if not isinstance(text, str):
            raise TablePathError(f"a table path is a str of the form {_FORM}, not {type(text).__name__}")
        if _NEXT_PATH.search(text):
            raise TablePathError(f"{text!r} names several tables; this takes one, so split it at the commas")
        path, *queries = text.strip().split("?")
        if len(queries) > 1:
            raise TablePathError(f"table path {text!r} has more than one '?'; expected {_FORM}")
        scheme, separator, rest = path.partition("://")
        if not separator or scheme.lower() not in ("odps", "paiio"):
            raise TablePathError(f"table path {text!r} does not begin with odps://; expected {_FORM}")
        segments = rest.rstrip("/").split("/")
        schema = None
        if len(segments) > 2 and segments[1] == "schemas":
            schema = _name(segments[2], text)
            segments[1:3] = []
        if len(segments) < 3 or segments[1] != "tables":
            raise TablePathError(f"table path {text!r} has no /tables/TABLE; expected {_FORM}")
        table = segments[2]
        if schema is None and "." in table:
            schema, _, table = table.partition(".")
            schema = _name(schema, text)
        try:
            partitions = _partitions("/".join(segments[3:]))
        except TablePathError as error:
            raise TablePathError(f"table path {text!r}: {error.message}; expected {_FORM}") from None
        return cls(
            project=_name(segments[0], text),
            table=_name(table, text),
            schema=schema,
            partitions=partitions,
            rows=_row_range(queries[0], text) if queries else None,
        )

    @property
    def name(self) -> str:
        """``project.table`` or ``project.schema.table``, for messages."""
        return ".".join(part for part in (self.project, self.schema, self.table) if part)

    def with_partition(self, partition: PartitionSpec | None) -> TablePath:
        """The same table with one partition (or none) and all rows."""
        return replace(self, partitions=(partition,) if partition else (), rows=None)

    def __str__(self) -> str:
        schema = f"/schemas/{self.schema}" if self.schema else ""
        text = f"odps://{self.project}{schema}/tables/{self.table}"
        if self.partitions:
            text += "/" + "&".join(p.path_form for p in self.partitions)
        if self.rows is not None:
            text += f"?start={self.rows.start}&end={self.rows.stop}"
        return text


def parse_paths(paths: str | TablePath | Iterable[str | TablePath]) -> list[TablePath]:
    """One path, several joined by commas, or an iterable of them.

    A comma separates paths only where a new ``odps://`` follows; a partition value may hold one.
    """
    return [path for _, path in named_paths(paths)]


def named_paths(paths: str | TablePath | Iterable[str | TablePath]) -> list[tuple[str, TablePath]]:
    """As :func:`parse_paths`, each path with the text that it was given as."""
    if isinstance(paths, TablePath):
        return [(str(paths), paths)]
    if isinstance(paths, str):
        texts = _NEXT_PATH.split(paths.strip().rstrip(","))
        return [(text, TablePath.parse(text)) for text in texts]
    return [named for path in paths for named in named_paths(path)]


def _name(segment: str, text: str) -> str:
    if not _NAME.match(segment):
        raise TablePathError(f"table path {text!r}: {segment!r} is not a name; expected {_FORM}")
    return segment.lower()


def _partitions(text: str) -> tuple[PartitionSpec, ...]:
    if not text:
        return ()
    # Split first, then decode: a value may hold any separator in its percent-encoded form.
    specs = tuple(
        PartitionSpec._of_parts([unquote(part) for part in re.split("[,/]", spec)]) for spec in text.split("&")
    )
    if len(set(specs)) < len(specs):
        raise TablePathError("a partition is named twice")
    return specs


def _row_range(query: str, text: str) -> RowRange:
    numbers = {}
    try:
        for name, value in parse_qsl(query, keep_blank_values=True, strict_parsing=True):
            if name not in ("start", "end") or name in numbers or not value.isdecimal():
                raise ValueError(name)
            numbers[name] = int(value)
        return RowRange(numbers["start"], numbers["end"])
    except SliceError as error:
        raise TablePathError(f"table path {text!r}: {error.message}") from None
    except (ValueError, KeyError):
        raise TablePathError(f"table path {text!r} has a malformed query; expected {_FORM}") from None
