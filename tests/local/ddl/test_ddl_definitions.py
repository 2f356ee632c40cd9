"""Statements that define tables and partitions, PyODPS's own texts among them."""

from __future__ import annotations

import logging

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from odps import types as pyodps_types
from odps.models import Table as PyodpsTable
from odps.models import TableSchema as PyodpsSchema

from aiopaiio.local.ddl import Message
from aiopaiio.local.ddl.dialect import parse_statements
from aiopaiio.local.storage import Store, StoreError, TableName
from aiopaiio.schema import Column, TableSchema

T = TableName("demo", None, "t")

SIMPLE_TYPES = (
    *("bigint", "int", "smallint", "tinyint", "float", "double", "boolean", "string", "binary", "json", "date"),
    *("datetime", "timestamp", "timestamp_ntz", "decimal", "decimal(10,2)", "decimal(38,18)", "char(5)", "varchar(20)"),
    *("interval_day_time", "interval_year_month", "vector(float,8)"),
)
KEY_TYPES = ("string", "bigint", "varchar(3)", "date")


def types() -> st.SearchStrategy[str]:
    return st.recursive(
        st.sampled_from(SIMPLE_TYPES),
        lambda inner: st.one_of(
            inner.map(lambda t: f"array<{t}>"),
            st.tuples(st.sampled_from(KEY_TYPES), inner).map(lambda kv: f"map<{kv[0]},{kv[1]}>"),
            st.lists(inner, min_size=1, max_size=3).map(
                lambda ts: "struct<" + ",".join(f"f{i}:{t}" for i, t in enumerate(ts)) + ">"
            ),
        ),
        max_leaves=6,
    )


COMMENTS = st.text(alphabet=st.sampled_from("ab'\"\\\n\t;`-é日%"), max_size=8)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.lists(st.tuples(types(), COMMENTS, st.booleans()), min_size=1, max_size=4),
    st.lists(st.sampled_from(("string", "bigint", "date")), max_size=2),
    COMMENTS,
)
def test_what_pyodps_writes_is_what_is_created(store: Store, run, columns, partitions, comment) -> None:
    store.drop_table(T, if_exists=True)
    schema = PyodpsSchema(
        columns=[
            pyodps_types.Column(f"c{i}", text, comment=said, nullable=nullable)
            for i, (text, said, nullable) in enumerate(columns)
        ],
        partitions=[pyodps_types.Partition(f"p{i}", text) for i, text in enumerate(partitions)],
    )
    sql = PyodpsTable.gen_create_table_sql("t", schema, comment=comment, lifecycle=9, project="demo")
    assert run(sql) == Message("OK")
    table = store.get_table(T)
    assert table.schema == TableSchema(
        tuple(Column(f"c{i}", text, nullable, said) for i, (text, said, nullable) in enumerate(columns)),
        tuple(Column(f"p{i}", text) for i, text in enumerate(partitions)),
    )
    assert (table.comment, table.lifecycle, table.owner) == (comment, 9, "me")


def test_every_clause_of_create_table(store: Store, run) -> None:
    run("CREATE SCHEMA demo.s")
    run(
        "CREATE TABLE IF NOT EXISTS demo.s.`T` (\n  `Id` BIGINT NOT NULL COMMENT 'k',\n  `select` string\n)\n"
        "COMMENT 'c'\nPARTITIONED BY (\n  `ds` STRING COMMENT 'day'\n)\nSTORED AS aliorc\n"
        "TBLPROPERTIES (\n  'transactional' = 'true'\n)\nLIFECYCLE 3;"
    )
    table = store.get_table(TableName("demo", "s", "t"))
    assert table.schema == TableSchema(
        (Column("id", "bigint", False, "k"), Column("select", "string")), (Column("ds", "string", True, "day"),)
    )
    assert (table.comment, table.lifecycle, table.properties) == ("c", 3, {"transactional": "true"})
    run("create table if not exists demo.s.t (other bigint)")
    assert store.get_table(TableName("demo", "s", "t")) == table
    run("create table copy like demo.s.t")
    assert store.get_table(TableName("demo", None, "copy")).schema == table.schema


def test_a_schema_given_as_text_is_copied_into_the_statement(store: Store, run) -> None:
    sql = PyodpsTable.gen_create_table_sql(
        "t", ("Id BIGINT, m MAP<STRING, ARRAY<STRUCT<a: STRING, b: DECIMAL(10)>>>", "ds string"), project="demo"
    )
    run(sql)
    assert store.get_table(T).schema == TableSchema(
        (Column("id", "bigint"), Column("m", "map<string,array<struct<a:string,b:decimal(10,0)>>>")),
        (Column("ds", "string"),),
    )


def test_partitions(store: Store, run) -> None:
    run("create table t (a bigint) partitioned by (ds string, hh bigint)")
    run("ALTER TABLE demo.`t` ADD  PARTITION (ds='1',hh='01');")
    run("ALTER TABLE demo.`t` ADD IF NOT EXISTS  PARTITION (ds='1',hh='01') PARTITION (ds='it\\'s', hh=2);")
    assert [p.spec for p in store.list_partitions(T)[0]] == ["ds=1,hh=1", "ds=it's,hh=2"]
    run("ALTER TABLE demo.`t` TOUCH PARTITION (ds='1',hh='01');")
    run("TRUNCATE TABLE demo.`t` PARTITION (ds='1',hh='1');")
    run("ALTER TABLE demo.`t` DROP IF EXISTS  PARTITION (ds='1',hh='01');")
    run("ALTER TABLE demo.`t` DROP IF EXISTS  PARTITION (ds='1',hh='01'), PARTITION (ds=\"it's\",hh='2');")
    assert store.list_partitions(T) == ([], "")


def test_alterations(store: Store, run) -> None:
    run("create table t (a bigint)")
    run("ALTER TABLE demo.`t` ADD COLUMNS (\n  `C` INTERVAL_DAY_TIME COMMENT 'x',\n  d array<json>\n);")
    run("ALTER TABLE demo.`t` ADD COLUMN IF NOT EXISTS (d string, e int)")
    run("ALTER TABLE demo.`t` ADD COLUMNS f string")
    assert store.get_table(T).schema.columns == (
        Column("a", "bigint"),
        Column("c", "interval_day_time", True, "x"),
        Column("d", "array<json>"),
        Column("e", "int"),
        Column("f", "string"),
    )
    run("ALTER TABLE demo.`t` SET LIFECYCLE 5;")
    run("ALTER TABLE demo.`t` SET COMMENT 'n'; ALTER TABLE t SET TBLPROPERTIES ('a'='b', 'c'='d')")
    table = store.get_table(T)
    assert (table.lifecycle, table.comment, table.properties) == (5, "n", {"a": "b", "c": "d"})
    run("ALTER TABLE demo.`t` TOUCH;")
    run("TRUNCATE TABLE demo.`t`;")
    run("ALTER TABLE demo.`t` RENAME TO `U`;")
    run("DROP TABLE demo.`u`")
    run("DROP TABLE IF EXISTS demo.`u`;")
    assert store.list_tables("demo") == ([], "")


def test_names_resolve_by_project_and_schema(store: Store, run) -> None:
    run("create schema s")
    run("create table a (x bigint)", schema="s")
    run("create table s.b (x bigint)", settings={"odps.namespace.schema": "true"})
    run("create table other.c (x bigint)")
    assert [str(t.name) for t in store.list_tables("demo", "s")[0]] == ["demo.s.a", "demo.s.b"]
    assert store.exist_table(TableName("other", None, "c"))
    run("drop table s.a", settings={"odps.namespace.schema": "true"})
    run("drop table b", schema="s")
    run("drop schema s")
    assert store.list_schemas("demo") == ["default"]


def test_statements_run_in_order_up_to_the_first_failure(store: Store, run) -> None:
    with pytest.raises(StoreError, match=r"^ODPS-0130131:.*Table not found"):
        run("set odps.sql.type.system.odps2=true; create table a (x bigint);; drop table nope; create table b (x int)")
    assert [t.name.table for t in store.list_tables("demo")[0]] == ["a"]


def test_parsing_is_silent(caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]) -> None:
    caplog.set_level(logging.DEBUG)
    parse_statements("ALTER TABLE t TOUCH; ALTER TABLE t CHANGEOWNER TO 'x'; SHOW GRANTS; alter table t drop columns a")
    assert caplog.records == []
    assert capsys.readouterr() == ("", "")
