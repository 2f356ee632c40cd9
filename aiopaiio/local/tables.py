"""Table and partition metadata, as the service API describes them. Reading only: changes are SQL statements."""

from __future__ import annotations

import json
from email.utils import formatdate
from typing import Any
from xml.etree import ElementTree

from aiohttp import web

from aiopaiio.local.answers import child, xml_answer
from aiopaiio.local.running import Call, Running
from aiopaiio.local.sessions import OWNER
from aiopaiio.local.storage import Partition, Table
from aiopaiio.schema import Column

__all__ = ["get_partition", "get_table", "list_partitions", "list_tables"]

_PAGE = 1000


async def get_table(running: Running, call: Call) -> web.StreamResponse:
    """Describe a table; with ``?extended`` what clients decide by how to read and write it."""
    table = await running.run(running.store.get_table, call.table)
    root = ElementTree.Element("Table")
    child(root, "Name", table.name.table)
    child(root, "TableId", table.id)
    description = _extended_json(table) if "extended" in call.query else _table_json(table)
    child(root, "Schema", json.dumps(description), format="Json")
    child(root, "CreationTime", formatdate(table.created, usegmt=True))
    child(root, "LastModifiedTime", formatdate(table.modified, usegmt=True))
    child(root, "LastAccessTime")
    child(root, "Owner", table.owner or OWNER)
    child(root, "Comment", table.comment)
    child(root, "TableLabel")
    child(root, "Type", "MANAGED_TABLE")
    return xml_answer(root)


async def list_tables(running: Running, call: Call) -> web.StreamResponse:
    """A page of tables by name, with the marker of the next."""
    tables, marker = await running.run(
        running.store.list_tables,
        call.operation.project,
        call.operation.schema or None,
        prefix=call.query.get("name", "").lower(),
        marker=call.query.get("marker", ""),
        limit=_page_size(call),
    )
    root = ElementTree.Element("Tables")
    child(root, "Marker", marker)
    child(root, "MaxItems", _page_size(call))
    for table in tables:
        entry = child(root, "Table")
        child(entry, "Name", table.name.table)
        child(entry, "Owner", table.owner or OWNER)
        child(entry, "Type", "MANAGED_TABLE")
    return xml_answer(root)


async def get_partition(running: Running, call: Call) -> web.StreamResponse:
    """Describe one partition."""
    partition = await running.run(running.store.get_partition, call.table, call.query["partition"])
    root = ElementTree.Element("Partition")
    description = _extended_partition_json(partition) if "extended" in call.query else _partition_json(partition)
    child(root, "Schema", json.dumps(description))
    return xml_answer(root)


async def list_partitions(running: Running, call: Call) -> web.StreamResponse:
    """A page of partitions by value, with the marker of the next."""
    partitions, marker = await running.run(
        running.store.list_partitions,
        call.table,
        prefix=call.partition,
        marker=call.query.get("marker", ""),
        limit=_page_size(call),
        reverse="reverse" in call.query and call.query["reverse"].lower() != "false",
    )
    root = ElementTree.Element("Partitions")
    child(root, "Marker", marker)
    child(root, "MaxItems", _page_size(call))
    for partition in partitions:
        entry = child(root, "Partition")
        for name, value in partition.values:
            child(entry, "Column", Name=name, Value=value)
        child(entry, "CreationTime", int(partition.created))
        child(entry, "LastDDLTime", int(partition.ddl_modified))
        child(entry, "LastModifiedTime", int(partition.modified))
        child(entry, "PartitionSize", partition.size)
        child(entry, "PartitionRecordCount", partition.row_count)
    return xml_answer(root)


def _page_size(call: Call) -> int:
    return max(1, min(_PAGE, call.integer("maxitems", default=_PAGE)))


def _table_json(table: Table) -> dict[str, Any]:
    return {
        "tableName": table.name.table,
        "comment": table.comment,
        "owner": table.owner or OWNER,
        "createTime": int(table.created),
        "lastModifiedTime": int(table.modified),
        "lastDDLTime": int(table.ddl_modified),
        "isVirtualView": False,
        "lifecycle": table.lifecycle,
        "size": table.size,
        "recordNum": table.row_count,
        "tableLabel": "",
        "shardExist": False,
        "columns": [_column_json(column) for column in table.schema.columns],
        "partitionKeys": [_column_json(column) for column in table.schema.partition_columns],
    }


def _column_json(column: Column) -> dict[str, Any]:
    # The tunnel's sessions call the same thing "nullable".
    return {
        "name": column.name,
        "type": column.type,
        "comment": column.comment,
        "label": "",
        "isNullable": column.nullable,
    }


def _extended_json(table: Table) -> dict[str, Any]:
    # A transactional table with a primary key would be written by upserts, which are not served: never say so.
    reserved = {"schema_version": "0", "Transactional": "false", **_without_transactions(table)}
    return {
        "IsArchived": False,
        "PhysicalSize": table.size,
        "FileNum": 0,
        "location": "",
        "storageHandler": "",
        "resources": "",
        "serDeProperties": "{}",
        "Reserved": json.dumps(reserved),
    }


def _without_transactions(table: Table) -> dict[str, str]:
    return {key: value for key, value in table.properties.items() if key.lower() != "transactional"}


def _partition_json(partition: Partition) -> dict[str, Any]:
    return {
        "createTime": int(partition.created),
        "lastDDLTime": int(partition.ddl_modified),
        "lastModifiedTime": int(partition.modified),
        "partitionSize": partition.size,
        "partitionRecordNum": partition.row_count,
    }


def _extended_partition_json(partition: Partition) -> dict[str, Any]:
    return {
        "IsArchived": False,
        "IsExstore": False,
        "LifeCycle": -1,
        "PhysicalSize": partition.size,
        "FileNum": 0,
        "Reserved": json.dumps({}),
    }
