"""Failures of a statement, in the form of the service: ``ODPS-NNNNNNN:[line,column] What - why``."""

from __future__ import annotations

from aiopaiio.local.storage import StoreError

__all__ = ["SUPPORTED", "parse_failure", "semantic_failure", "task_failure", "unsupported"]

SUPPORTED = (
    "CREATE TABLE, DROP TABLE, TRUNCATE TABLE, ALTER TABLE ... ADD COLUMNS | ADD PARTITION | DROP PARTITION | RENAME TO"
    " | SET LIFECYCLE | SET COMMENT | SET TBLPROPERTIES | TOUCH, CREATE SCHEMA, DROP SCHEMA, DESC, SHOW TABLES,"
    " SHOW PARTITIONS, SHOW SCHEMAS, and SELECT of columns FROM one table"
    " [WHERE conditions on partition columns] [LIMIT n]"
)

# What the storage refuses, as the SQL engine says it.
_TASK_FAILURES = {
    "NoSuchTable": ("ODPS-0130131", "[1,1] Table not found"),
    "NoSuchSchema": ("ODPS-0130071", "[1,1] Semantic analysis exception"),
    "TableAlreadyExists": ("ODPS-0130211", "Table or view already exists"),
    "SchemaAlreadyExists": ("ODPS-0130211", "Schema already exists"),
    "PartitionAlreadyExists": ("ODPS-0110061", "Failed to run ddltask - Partition already exists"),
    "NoSuchPartition": ("ODPS-0110061", "Failed to run ddltask - Partition not found"),
    "InternalServerError": ("ODPS-0010000", "System internal error"),
}


def _failure(code: str, text: str) -> StoreError:
    return StoreError(code, f"{code}:{text}")


def parse_failure(what: str, line: int = 1, column: int = 1) -> StoreError:
    """The statement cannot be read."""
    return _failure("ODPS-0130161", f"[{line},{column}] Parse exception - {what}")


def unsupported(what: str) -> StoreError:
    """The statement may be right, but the service for one machine does not do it."""
    return parse_failure(f"{what} is not supported by the service for one machine; supported are {SUPPORTED}")


def semantic_failure(what: str) -> StoreError:
    """The statement can be read but makes no sense for the table it names."""
    return _failure("ODPS-0130071", f"[1,1] Semantic analysis exception - {what}")


def task_failure(error: StoreError) -> StoreError:
    """A refusal of the storage as the failure of the statement that met it."""
    if error.code.startswith("ODPS-"):
        return error
    code, what = _TASK_FAILURES.get(error.code, ("ODPS-0130071", "[1,1] Semantic analysis exception"))
    return _failure(code, f"{what} - {error.message}")
