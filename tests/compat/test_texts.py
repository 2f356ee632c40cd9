"""STRING and BINARY as the blocking face writes and reads them, in both wire forms: empty, huge, and not UTF-8."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import paiio
from aiopaiio.local import Fault, Limits, Stall

from .conftest import Tables, running

MIB = 1 << 20
TEXTS = [b"", b"\x00", b"\xff\xfe", b"\xed\xa0\x80", "ä\U0001f600".encode(), b"\xc3" * (9 * MIB), b"x" * (12 * MIB)]
# A type that the Arrow form cannot carry brings the other one about.
FORMS = {"arrow": "n bigint", "record": "n interval_year_month"}


@pytest.fixture(scope="module")
def wide_tables(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tables]:
    """Tables of a service that takes longer cells than the cloud does."""
    with running(tmp_path_factory.mktemp("wide"), Limits(field_bytes=16 * MIB)) as service:
        yield Tables(service)


def nested(text: Any) -> tuple[Any, Any]:
    """For short texts an array and a map of them, too."""
    return ([text, None], {text: text}) if len(text) < MIB else (None, None)


@pytest.mark.parametrize("form", ["arrow", pytest.param("record", marks=pytest.mark.slow)])
def test_every_text_in_both_wire_forms(wide_tables: Tables, form: str) -> None:
    forms = set()

    def note(operation: Any) -> bool:
        forms.add("arrow" if "arrow" in operation.query else "record")
        return False

    path = wide_tables.new(f"a string, b binary, c array<string>, d map<string,string>, {FORMS[form]}")
    for operation in ("put_block", "read_rows"):
        wide_tables.service.faults.add(Fault(operation, Stall(), when=note))
    with paiio.TableWriter(path) as writer:
        writer.write([(text, text, *nested(text), number) for number, text in enumerate(TEXTS)], range(5))
    for string_as, as_read in (("bytes", bytes), ("str", lambda text: text.decode("utf-8", "surrogateescape"))):
        with paiio.TableReader(path, string_as=string_as) as reader:
            rows = reader.read(len(TEXTS))
        for number, (text, row) in enumerate(zip(TEXTS, rows, strict=True)):
            # Not == on the whole, whose report of a difference would take minutes.
            assert (row[0] == as_read(text), row[1] == text, row[4]) == (True, True, number)
            assert row[2:4] == nested(as_read(text))
    assert forms == {form}
    # What was read as text is written back as the same bytes.
    with paiio.TableWriter(path) as writer:
        writer.write(rows, range(5))
    found = wide_tables.rows(f"{path}?start={len(TEXTS)}&end={2 * len(TEXTS)}", string_as="bytes", selected_cols="a,d")
    assert [text == row[0] for text, row in zip(TEXTS, found, strict=True)] == [True] * len(TEXTS)
    assert [row[1] for row in found] == [nested(text)[1] for text in TEXTS]
