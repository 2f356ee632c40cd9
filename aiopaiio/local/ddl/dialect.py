"""Parses MaxCompute SQL: the sqlglot dialect for it, with what that does not know of table definitions added."""

from __future__ import annotations

from typing import Any

import sqlglot
from sqlglot import TokenType, exp
from sqlglot.errors import ParseError, TokenError
from sqlglot.trie import new_trie
from sqlglot_maxcompute import MaxCompute, MaxComputeParser

from aiopaiio.local.ddl.failures import parse_failure

__all__ = ["TYPE_TEXT", "ShowPartitions", "Touch", "parse_statements"]

TYPE_TEXT = "type text"
"""Key in the ``meta`` of a column type for its text as written, which may name a type sqlglot does not know."""


class Touch(exp.Expression):
    """``ALTER TABLE t TOUCH [PARTITION (...)]``; ``this`` is the partition."""

    arg_types = {"this": False}  # noqa: RUF012 - sqlglot declares it as an instance attribute


class ShowPartitions(exp.Expression):
    """``SHOW PARTITIONS t [PARTITION (...)]``; ``this`` is the table."""

    arg_types = {"this": True, "partition": False}  # noqa: RUF012 - sqlglot declares it as an instance attribute


class LocalParser(MaxComputeParser):
    ALTER_PARSERS = {  # noqa: RUF012 - a table of the class it extends
        **MaxComputeParser.ALTER_PARSERS,
        "ADD": lambda self: self._parse_alter_add(),
        "TOUCH": lambda self: self.expression(Touch(this=self._parse_partition())),
    }
    STATEMENT_PARSERS = {  # noqa: RUF012
        **MaxComputeParser.STATEMENT_PARSERS,
        TokenType.SHOW: lambda self: self._parse_show(),
    }
    SHOW_PARSERS = {  # noqa: RUF012
        "TABLES": lambda self: self._parse_show_tables(),
        "PARTITIONS": lambda self: self._parse_show_partitions(),
        "SCHEMAS": lambda self: self.expression(exp.Show(this="SCHEMAS")),
    }
    SHOW_TRIE = new_trie(key.split(" ") for key in SHOW_PARSERS)

    def _warn_unsupported(self) -> None:
        # Statements that come out as exp.Command are refused with an error of their own; no log line is needed.
        pass

    def _parse_types(
        self,
        check_func: bool = False,
        schema: bool = False,
        allow_identifiers: bool = True,
        with_collation: bool = False,
    ) -> Any:
        start = self._curr
        parsed = super()._parse_types(check_func, schema, allow_identifiers, with_collation)
        if schema and isinstance(parsed, exp.DataType):
            parsed.meta[TYPE_TEXT] = self._find_sql(start, self._prev)
        return parsed

    def _parse_struct_types(self, type_required: bool = False) -> Any:
        # Always name:type here, which also lets any type follow; sqlglot guesses among several forms.
        name = self._parse_id_var()
        if not self._match(TokenType.COLON):
            self.raise_error("Expecting : between a struct's field and its type")
        return self._parse_column_def(name)

    def _parse_alter_add(self) -> list[Any]:
        exists = self._parse_exists(not_=True)
        if self._match(TokenType.PARTITION, advance=False):
            added = []
            while partition := self._parse_partition():
                added.append(self.expression(exp.AddPartition(this=partition, exists=exists)))
            return added
        if not self._match_texts(("COLUMNS", "COLUMN")):
            return []
        exists = self._parse_exists(not_=True) or exists
        columns = self._parse_schema() or self.expression(exp.Schema(expressions=[self._parse_field_def()]))
        columns.meta["exists"] = bool(exists)
        return [columns]

    def _parse_show_tables(self) -> exp.Show:
        schema = self._parse_table_parts() if self._match_texts(("IN", "FROM")) else None
        like = self._parse_string() if self._match_text_seq("LIKE") else None
        return self.expression(exp.Show(this="TABLES", db=schema, like=like))

    def _parse_show_partitions(self) -> ShowPartitions:
        table = self._parse_table(schema=True)
        return self.expression(ShowPartitions(this=table, partition=self._parse_partition()))


class LocalDialect(MaxCompute):
    # Lets column types that sqlglot has no name for, such as INTERVAL_DAY_TIME, through the parser.
    SUPPORTS_USER_DEFINED_TYPES = True

    class Tokenizer(MaxCompute.Tokenizer):
        COMMANDS = MaxCompute.Tokenizer.COMMANDS - {TokenType.SHOW}

    Parser = LocalParser


def parse_statements(sql: str) -> list[Any]:
    """The statements of a text, empty ones left out; raises StoreError ``ODPS-0130161`` with line and column."""
    try:
        return [statement for statement in sqlglot.parse(sql, dialect=LocalDialect) if statement is not None]
    except ParseError as error:
        first = error.errors[0] if error.errors else {}
        line, column = first.get("line") or 1, first.get("col") or 1
        what = str(first.get("description") or error).rstrip(".")
        near = str(first.get("highlight") or "")
        raise parse_failure(f"{what} near '{near}'" if near else what, line, column) from None
    except (TokenError, RecursionError) as error:
        raise parse_failure(str(error) or "the statement is nested too deeply") from None
