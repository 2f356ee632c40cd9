"""Readers and writers of tables."""

from paiio.compat.common_io import TableReader, TableWriter

__all__ = ["TableReader", "TableWriter"]
