"""Tables and schemas."""

from __future__ import annotations

from pathlib import Path

import pytest
from store_rows import refuses

from aiopaiio.local.storage import Store, TableName
from aiopaiio.schema import Column, TableSchema

ONE_COLUMN = TableSchema((Column("a", "bigint"),))


def test_a_table_is_described_as_it_was_created(store: Store, clock) -> None:
    schema = TableSchema(
        (Column("Id", "BIGINT", nullable=False, comment="key"), Column("m", "map<string,array<decimal(10,2)>>")),
        (Column("ds", "string", comment="day"),),
    )
    name = TableName("Demo", "S1", "Flights")
    store.create_schema("demo", "s1")
    store.create_table(name, schema, comment="c", lifecycle=7, properties={"k": "v"}, owner="me")
    found = store.get_table(TableName("DEMO", "s1", "FLIGHTS"))
    assert found.schema == schema
    assert (found.comment, found.lifecycle, found.properties, found.owner) == ("c", 7, {"k": "v"}, "me")
    assert (found.created, found.row_count, found.size) == (clock.now, 0, 0)
    assert str(found.name) == "demo.s1.flights"


def test_names_are_case_insensitive_and_unique(store: Store) -> None:
    first = store.create_table(TableName("p", None, "T"), ONE_COLUMN)
    assert store.create_table(TableName("P", "DEFAULT", "t"), ONE_COLUMN, if_not_exists=True).id == first.id
    with refuses("TableAlreadyExists"):
        store.create_table(TableName("p", None, "t"), ONE_COLUMN)


@pytest.mark.parametrize("bad", ["", "../../etc/passwd", "a/b", "a\\b", "a.b", "a b", "x" * 129, "a\0b", "-a", "a\n"])
def test_a_name_that_could_be_more_than_a_name_is_refused(bad: str) -> None:
    for place in range(3):
        parts = ["p", "s", "t"]
        parts[place] = bad
        if place == 1 and not bad:
            continue  # an empty schema name means the default one
        with refuses("InvalidArgument"):
            TableName(*parts)


def test_names_do_not_become_paths(store: Store, root: Path, append) -> None:
    name = TableName("p", None, "CON-tab_le")
    store.create_table(name, TableSchema((Column("id", "bigint"), Column("name", "string"))))
    append(name, [1])
    assert not [path for path in root.rglob("*") if "tab" in path.name]


def test_unknown_table(store: Store) -> None:
    name = TableName("p", None, "t")
    assert not store.exist_table(name)
    for call in (store.get_table, store.drop_table, store.truncate, store.touch, store.create_download):
        with refuses("NoSuchTable"):
            call(name)
    store.drop_table(name, if_exists=True)


@pytest.mark.parametrize(
    "schema",
    [
        TableSchema(()),
        TableSchema((Column("a", "no_such_type"),)),
        TableSchema((Column("a", "bigint"),), (Column("p", "double"),)),
        TableSchema((Column("a", "bigint"),), tuple(Column(f"p{i}", "string") for i in range(7))),
    ],
)
def test_an_impossible_definition_is_refused(store: Store, schema: TableSchema) -> None:
    with refuses("InvalidArgument"):
        store.create_table(TableName("p", None, "t"), schema)


def test_changes_of_the_definition(store: Store, table: TableName, clock) -> None:
    clock.pass_hours(1)
    store.set_lifecycle(table, 3)
    store.set_comment(table, "new")
    store.set_properties(table, {"a": "1"})
    store.set_properties(table, {"b": "2"})
    store.add_columns(table, [Column("x", "json")])
    found = store.get_table(table)
    assert (found.lifecycle, found.comment, found.properties) == (3, "new", {"a": "1", "b": "2"})
    assert found.schema.names == ("id", "name", "x")
    assert found.ddl_modified == clock.now > found.modified
    store.touch(table)
    assert store.get_table(table).modified == clock.now


def test_columns_are_added_once_and_nullable(store: Store, table: TableName) -> None:
    with refuses("InvalidArgument"):
        store.add_columns(table, [Column("NAME", "string")])
    with refuses("InvalidArgument"):
        store.add_columns(table, [Column("x", "string", nullable=False)])
    store.add_columns(table, [Column("name", "string"), Column("x", "int")], if_not_exists=True)
    assert store.get_table(table).schema.names == ("id", "name", "x")


def test_rename(store: Store, table: TableName, append, read_ids) -> None:
    append(table, [1, 2])
    store.create_table(TableName("demo", None, "taken"), ONE_COLUMN)
    with refuses("TableAlreadyExists"):
        store.rename_table(table, "taken")
    store.rename_table(table, "U")
    assert not store.exist_table(table)
    assert read_ids(TableName("demo", None, "u")) == [1, 2]


def test_a_table_made_again_has_none_of_the_old_rows(store: Store, table: TableName, append, read_ids) -> None:
    append(table, [1])
    store.drop_table(table)
    store.create_table(table, TableSchema((Column("id", "string"),)))
    assert store.get_table(table).row_count == 0
    assert read_ids(table) == []


def test_tables_are_listed_in_pages_by_prefix(store: Store) -> None:
    for text in ("b2", "b1", "a", "b3", "B0"):
        store.create_table(TableName("p", None, text), ONE_COLUMN)
    store.create_table(TableName("q", None, "b"), ONE_COLUMN)
    first, marker = store.list_tables("P", prefix="B", limit=3)
    rest, end = store.list_tables("p", prefix="b", marker=marker, limit=3)
    assert [t.name.table for t in first] == ["b0", "b1", "b2"]
    assert ([t.name.table for t in rest], end) == (["b3"], "")
    assert store.list_projects() == ["p", "q"]


def test_schemas(store: Store) -> None:
    name = TableName("p", "s", "t")
    with refuses("NoSuchSchema"):
        store.create_table(name, ONE_COLUMN)
    store.create_schema("p", "S")
    store.create_schema("p", "s", if_not_exists=True)
    with refuses("SchemaAlreadyExists"):
        store.create_schema("p", "s")
    store.create_table(name, ONE_COLUMN)
    assert store.list_schemas("p") == ["default", "s"]
    assert store.list_tables("p")[0] == []
    assert [t.name for t in store.list_tables("p", "s")[0]] == [name]
    with refuses("InvalidArgument"):
        store.drop_schema("p", "s")
    store.drop_table(name)
    store.drop_schema("p", "s")
    store.drop_schema("p", "s", if_exists=True)
    with refuses("NoSuchSchema"):
        store.drop_schema("p", "s")
    with refuses("InvalidArgument"):
        store.drop_schema("p", "default")


def test_everything_is_there_after_reopening(store: Store, table: TableName, root: Path, append, read_ids) -> None:
    append(table, [1, 2, 3])
    before = store.get_table(table)
    store.close()
    with Store(root) as again:
        assert again.get_table(table) == before
        session = again.create_download(table)
        assert [b.num_rows for b in again.read_rows(session.id, 0, 9)] == [3]
    with refuses("InternalServerError"):
        store.get_table(table)


def test_a_root_of_another_format_is_left_alone(root: Path) -> None:
    import sqlite3

    Store(root).close()
    connection = sqlite3.connect(root / "metadata.sqlite3")
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with refuses("InternalServerError"):
        Store(root)
