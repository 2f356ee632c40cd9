"""Statements that cannot be run: MaxCompute's code, and a text that says what is wrong."""

from __future__ import annotations

import pytest
from odps import errors as pyodps_errors
from odps.errors import parse_instance_error

from aiopaiio.local.storage import StoreError

UNSUPPORTED = {
    "insert into t values (1)": "INSERT INTO t",
    "create view v as select * from t": "CREATE VIEW",
    "create table b as select * from t": "AS SELECT",
    "create table b (a bigint, primary key (a))": "PRIMARY KEY",
    "create table b (a bigint default 1)": "DEFAULT 1",
    "create external table b (a bigint)": "EXTERNAL",
    "create or replace table b (a bigint)": "OR REPLACE",
    "create table b (a bigint) clustered by (a) into 4 buckets": "CLUSTERED BY",
    "create table b": "without columns",
    "alter table t drop columns a": "drop columns a",
    "alter table t change column a b bigint": "CHANGE COLUMN",
    "alter table t changeowner to 'x'": "changeowner",
    "alter table t rename to elsewhere.u": "another project",
    "drop table t, u": "several",
    "drop view v": "DROP VIEW",
    "select count(*) from t": "COUNT",
    "select a + 1 from t": "a \\+ 1",
    "select * from t where a = 1": "only partition columns",
    "select * from p where 1 = ds": "condition",
    "select * from p where ds like 'a%'": "LIKE",
    "select * from t order by a": "ORDER",
    "select distinct a from t": "DISTINCT",
    "select a from t group by a": "GROUP",
    "select * from t join p on t.a = p.a": "JOINS",
    "select * from (select * from t)": "one table",
    "select * from t union all select * from t": "UNION ALL",
    "select 1": "one table",
    "with q as (select 1) select * from q": "WITH",
    "show create table t": "SHOW create table t|show create table t",
    "merge into t using p on t.a = p.a when matched then delete": "MERGE",
}

WRONG = {
    "": ("ODPS-0130161", "empty"),
    "selec * from t": ("ODPS-0130161", "Parse exception"),
    "create table b (a bigint": ("ODPS-0130161", r"\[1,\d+\] Parse exception"),
    "select * from t where ds='1": ("ODPS-0130161", "Parse exception"),
    "alter table p partition (ds='1') rename to partition (ds='2')": ("ODPS-0130161", "Parse exception"),
    "drop table nope": ("ODPS-0130131", "Table not found - the table demo.nope does not exist"),
    "select * from nope": ("ODPS-0130131", "Table not found"),
    "create table t (a bigint)": ("ODPS-0130211", "already exists"),
    "alter table p add partition (ds='1')": ("ODPS-0110061", "already exists"),
    "alter table p drop partition (ds='2')": ("ODPS-0110061", "not found"),
    "alter table p add partition (zz='1')": ("ODPS-0130071", "zz"),
    "alter table p add partition (ds>'1')": ("ODPS-0130071", "column='value'"),
    "truncate table t partition (ds='1')": ("ODPS-0130071", "not partitioned"),
    "select nope from t": ("ODPS-0130071", "nope cannot be resolved"),
    "create table b (a nosuchtype)": ("ODPS-0130071", "nosuchtype"),
    "create table b (a bigint, A string)": ("ODPS-0130071", "more than once"),
    "create table b (a bigint) partitioned by (d double)": ("ODPS-0130071", "DOUBLE"),
    "create table b (a bigint) lifecycle 0": ("ODPS-0130071", "LIFECYCLE"),
    "create table `../x` (a bigint)": ("ODPS-0130071", "cannot name a table"),
    "alter table t add columns (a string)": ("ODPS-0130071", "already"),
    "select * from p where ds = '1' and hh = 1": ("ODPS-0130161", "hh"),
}


@pytest.fixture(autouse=True)
def tables(run) -> None:
    run("create table t (a bigint); create table p (a bigint) partitioned by (ds string)")
    run("alter table p add partition (ds='1')")


@pytest.mark.parametrize("sql", UNSUPPORTED)
def test_what_is_not_supported_is_named_with_what_is(run, sql: str) -> None:
    with pytest.raises(StoreError, match=f"(?s){UNSUPPORTED[sql]}.*supported are CREATE TABLE") as caught:
        run(sql)
    assert caught.value.code == "ODPS-0130161"
    assert isinstance(parse_instance_error(caught.value.message), pyodps_errors.ParseError)


@pytest.mark.parametrize("sql", WRONG)
def test_what_is_wrong_has_its_code(run, sql: str) -> None:
    code, what = WRONG[sql]
    with pytest.raises(StoreError, match=what) as caught:
        run(sql)
    assert caught.value.code == code
    assert caught.value.message.startswith(f"{code}:")
    assert parse_instance_error(caught.value.message).code == code


def test_a_missing_table_is_pyodps_no_such_table(run) -> None:
    with pytest.raises(StoreError) as caught:
        run("drop table nope")
    assert isinstance(parse_instance_error(caught.value.message), pyodps_errors.NoSuchTable)


def test_deep_nesting_is_refused(run) -> None:
    with pytest.raises(StoreError, match=r"^ODPS-0130"):
        run("select * from t where " + "(" * 20_000 + "a" + ")" * 20_000)
