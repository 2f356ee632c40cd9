"""Table paths: every accepted spelling, every refused one, and the way back to text."""

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiopaiio.errors import TablePathError
from aiopaiio.slicing import RowRange
from aiopaiio.table_path import PartitionSpec, TablePath, parse_paths

DS1, DS2 = PartitionSpec((("ds", "1"),)), PartitionSpec((("ds", "2"),))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("odps://p/tables/t", TablePath("p", "t")),
        ("odps://P/tables/T/", TablePath("p", "t")),
        (" odps://p/tables/t ", TablePath("p", "t")),
        ("paiio://p/tables/t", TablePath("p", "t")),
        ("odps://p/tables/s.t", TablePath("p", "t", "s")),
        ("odps://p/schemas/s/tables/t", TablePath("p", "t", "s")),
        ("odps://p/tables/t/ds=1", TablePath("p", "t", partitions=(DS1,))),
        ("odps://p/tables/t/ds='1'", TablePath("p", "t", partitions=(DS1,))),
        ("odps://p/tables/t/ds=1&ds=2", TablePath("p", "t", partitions=(DS1, DS2))),
        (
            "odps://p/tables/t/ds=1/hh=02",
            TablePath("p", "t", partitions=(PartitionSpec((("ds", "1"), ("hh", "02"))),)),
        ),
        ("odps://p/tables/t?start=3&end=9", TablePath("p", "t", rows=RowRange(3, 9))),
        ("odps://p/tables/t?end=9&start=9", TablePath("p", "t", rows=RowRange(9, 9))),
        ("odps://p/tables/t/ds=1?start=0&end=1", TablePath("p", "t", partitions=(DS1,), rows=RowRange(0, 1))),
    ],
)
def test_parses(text: str, expected: TablePath) -> None:
    assert TablePath.parse(text) == expected
    assert TablePath.parse(str(expected)) == expected
    assert pickle.loads(pickle.dumps(expected)) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "t",
        "http://p/tables/t",
        "odps://",
        "odps://p",
        "odps://p/tables",
        "odps://p/tables/",
        "odps://p/table/t",
        "odps:///tables/t",
        "odps://p/tables/..",
        "odps://p/tables/a b",
        "odps://../tables/t",
        "odps://p/tables/t/ds",
        "odps://p/tables/t/=1",
        "odps://p/tables/t/ds=",
        "odps://p/tables/t/ds=1/ds=2",
        "odps://p/tables/t/ds=1&ds=1",
        "odps://p/tables/t/ds=1&",
        "odps://p/tables/t?",
        "odps://p/tables/t?start=1",
        "odps://p/tables/t?start=1&end=2&end=3",
        "odps://p/tables/t?start=-1&end=2",
        "odps://p/tables/t?start=a&end=2",
        "odps://p/tables/t?start=3&end=2",
        "odps://p/tables/t?start=1&end=2&x=1",
        "odps://p/tables/t?start=1?end=2",
    ],
)
def test_refuses_and_shows_the_form(text: str) -> None:
    with pytest.raises(TablePathError) as caught:
        TablePath.parse(text)
    assert isinstance(caught.value, ValueError)
    assert "odps://PROJECT/tables/TABLE" in str(caught.value) or "0 <= start <= end" in str(caught.value)


def test_several_tables_where_one_is_taken() -> None:
    with pytest.raises(TablePathError, match="several tables"):
        TablePath.parse("odps://p/tables/a/ds=1, odps://p/tables/b")


def test_refuses_what_is_not_text() -> None:
    with pytest.raises(TablePathError, match="not bytes"):
        TablePath.parse(b"odps://p/tables/t")  # type: ignore[arg-type]


value = st.text(st.characters(exclude_categories=["Cc", "Cs", "Z"], exclude_characters="'\""), min_size=1, max_size=8)


@given(values=st.lists(value, min_size=1, max_size=3))
def test_any_partition_value_survives_the_way_to_text_and_back(values: list[str]) -> None:
    spec = PartitionSpec(tuple((f"k{i}", v) for i, v in enumerate(values)))
    path = TablePath("p", "t", partitions=(spec,))
    assert TablePath.parse(str(path)) == path


def test_lists_of_paths() -> None:
    one, two = TablePath("p", "a"), TablePath("p", "b", partitions=(DS1,))
    assert parse_paths("odps://p/tables/a, odps://p/tables/b/ds=1,") == [one, two]
    assert parse_paths(["odps://p/tables/a", two]) == [one, two]
    assert parse_paths(one) == [one]
    assert parse_paths([]) == []


def test_the_tunnel_form_of_a_partition() -> None:
    assert str(PartitionSpec.parse("ds = '1' / hh=2")) == "ds=1,hh=2"
    assert PartitionSpec.parse("ds=1,hh=2").get("hh") == "2"
    assert PartitionSpec.parse("ds=1").get("hh") is None
