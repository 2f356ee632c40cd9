"""A contender that gives or stores other rows than the table has ends a run, whoever it is."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from tests.benchmarks import row_read
from tests.benchmarks.__main__ import main
from tests.benchmarks.bench import Bench
from tests.benchmarks.digests import digest_of, require_equal
from tests.benchmarks.made_rows import mixed_rows
from tests.benchmarks.measuring import Case, Contender, Observed, WrongRows, measure
from tests.benchmarks.repeated_rows import RowCheck
from tests.benchmarks.service_process import service_process

ROWS = mixed_rows(64)


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    with (
        closing(asyncio.new_event_loop()) as loop,
        service_process(tmp_path / "root") as service,
        closing(Bench(service, loop, quick=True)) as bench,
    ):
        service.write_config(tmp_path / "odps_config.ini")
        monkeypatch.setenv("ODPS_CONFIG_FILE_PATH", str(tmp_path / "odps_config.ini"))
        yield bench


def replaced(batch: pa.RecordBatch, name: str, column: Any) -> pa.RecordBatch:
    return batch.set_column(batch.schema.get_field_index(name), name, column)


def with_cell(name: str, row: int, value: Any) -> pa.RecordBatch:
    cells = ROWS[name].to_pylist()
    cells[row] = value
    return replaced(ROWS, name, pa.array(cells, ROWS[name].type))


WRONG = {
    "a row less": ROWS.slice(0, 63),
    "a row twice": pa.Table.from_batches([ROWS.slice(0, 32), ROWS.slice(31)]).combine_chunks().to_batches()[0],
    "two rows changed about": ROWS.take(pa.array([1, 0, *range(2, 64)])),
    "a number": with_cell("user_id", 40, 7),
    "a fraction": with_cell("score", 40, float(np.nextafter(ROWS["score"][40].as_py(), 2))),
    "a flag": with_cell("clicked", 40, not ROWS["clicked"][40].as_py()),
    "a letter": with_cell("session", 40, "session-0"),
    "a NULL": with_cell("city", 40, None),
    "no NULL": with_cell("city", 6, ""),
    "a type": replaced(ROWS, "id", ROWS["id"].cast(pa.timestamp("ms"))),
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_other_rows_have_another_digest_and_are_seen_while_they_come(wrong: pa.RecordBatch) -> None:
    with pytest.raises(WrongRows):
        require_equal(digest_of([wrong]), digest_of([ROWS]))
    check = RowCheck(ROWS)
    with pytest.raises(WrongRows):
        check.take(wrong)
        check.require_rows(64)


def test_where_batches_begin_and_end_does_not_matter() -> None:
    parts = [ROWS.slice(0, 1), ROWS.slice(1, 40), ROWS.slice(41)]
    assert digest_of(parts) == digest_of([ROWS])
    check = RowCheck(ROWS)
    for part in [*parts, *parts]:
        check.take(part)
    check.require_rows(128)


@pytest.mark.parametrize("right_rounds", [0, 1])
def test_a_wrong_round_ends_the_measuring(right_rounds: int) -> None:
    runs: list[str] = []

    def contender(name: str, good: int) -> Contender:
        def check(round_number: int) -> None:
            if round_number > good:
                raise WrongRows(name)

        def run() -> int:
            runs.append(name)
            return runs.count(name)

        return Contender(name, run, check)

    case = Case("question", "case", 1, 1, "right", [contender("right", 100), contender("wrong", right_rounds)])
    with pytest.raises(WrongRows, match="wrong"):
        measure(case, 5, lambda: 0.0)
    assert runs == ["right", "wrong"] * (right_rounds + 1)


def damaged(result: Any) -> Any:
    """What a contender returned, without the end of it."""
    if isinstance(result, Observed):
        return damaged(result.result)
    if isinstance(result, RowCheck):
        result.row_count -= 1
        return result
    assert isinstance(result, list | str)
    assert result
    return result[:-1]


@pytest.mark.slow
@pytest.mark.parametrize("question", ["arrow_read", "many_tables", "record_read", "row_read"])
def test_a_read_that_is_short_is_seen_whoever_reads(question: str, bench: Bench) -> None:
    names = set()
    for case in importlib.import_module(f"tests.benchmarks.{question}").cases(bench):
        for contender in case.contenders:
            names.add(contender.name)
            if contender.prepare is not None:
                contender.prepare()
            result = contender.run()
            with pytest.raises(WrongRows):
                contender.check(damaged(result))
    assert any("PyODPS" in name for name in names)
    assert any("paiio" in name for name in names)


@pytest.mark.slow
@pytest.mark.parametrize("question", ["write_arrow", "write_rows"])
def test_rows_that_were_not_written_are_seen(question: str, bench: Bench) -> None:
    for case in islice(importlib.import_module(f"tests.benchmarks.{question}").cases(bench), 2):
        for contender in case.contenders:
            assert contender.prepare is not None
            contender.prepare()
            with pytest.raises(WrongRows):
                contender.check(None)


def test_a_wrong_read_ends_the_run_without_figures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ODPS_CONFIG_FILE_PATH", "")  # the run sets it
    read = row_read._read
    monkeypatch.setattr(row_read, "_read", lambda name, rows_at_once: read(name, rows_at_once)[1:])
    results = tmp_path / "results.json"
    with pytest.raises(WrongRows, match="3976 rows instead of 5000"):
        main(["row_read", "--quick", "--rounds", "1", "--json", str(results)])
    assert not results.exists()
