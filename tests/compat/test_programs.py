"""Programs in the manner of those that exist, run as they are by ``python -m paiio.compat``."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from .conftest import Tables, run_program


def test_a_training_job_behind_sql(tables: Tables) -> None:
    # label = 2 x - y + 1; a row without y is passed over.
    rows = [(str(x), y if x % 10 else None, 2 * x - (y or 0) + 1) for x in range(250) for y in (float(x % 7),)]
    source = tables.new("x string, y double, unused binary, label bigint", [(x, y, b"", n) for x, y, n in rows])
    result = tables.new("id bigint, score double, positive boolean", partition="ds=1")
    shown = run_program("sql_training", source, result)
    assert shown.split(", ")[0] == "225 rows"
    written = tables.rows(result)
    assert [row[0] for row in written] == list(range(225))
    expected = [label for x, y, label in rows if y is not None]
    assert [round(score) for _, score, _ in written] == expected
    assert [positive for _, _, positive in written] == [score > 0 for _, score, _ in written]


@pytest.mark.slow
def test_a_loader_of_graphs(tables: Tables) -> None:
    nodes = [(n, f"{n}.5:{n}:0", n if n % 2 else None, "unused") for n in range(5)]
    edges = [(n % 5, n % 3, 0.5, "unused") for n in range(2502)]
    paths = [
        tables.new("src_id bigint, dst_id bigint, weight float, note string", edges),
        tables.new("id bigint, features string, label bigint, note string", nodes),
    ]
    shown = run_program("graph_loader", "--tables", ",".join(paths)).splitlines()
    assert shown == ["2502 5 2", "[250.5, 250.5, 250.0, 250.0, 250.0]", "[125, 100, 0] 2"]


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_a_dataset_of_ranks_and_workers(tables: Tables, method: str) -> None:
    pytest.importorskip("torch", reason="DataLoader is PyTorch's")
    path = tables.new("id bigint, name string", [(n, f"row {n}") for n in range(103)])
    # More workers than that only cost time; one rank's part has 52 rows, the other's 51.
    assert run_program("ranked_dataset", path, "2", "2", method) == "103 True\n"


@pytest.mark.slow
def test_an_input_for_tensorflow_1(tables: Tables) -> None:
    pytest.importorskip("tensorflow", reason="the program imports it")
    path = tables.new(
        "id bigint, name string, score double", [(n, f"row {n:03}", n / 2 if n % 2 else None) for n in range(100)]
    )
    output = tables.new("rows bigint, name string, score double")
    shown = run_program("tf1_reader", path, output)
    assert shown.splitlines() == ["100 ['id', 'name', 'score']", "100 700 1250.0"]
    assert tables.rows(output) == [(100, "sum", 1250.0)]


@pytest.mark.slow
def test_a_negative_sampler(tables: Tables) -> None:
    items = tables.new(
        "item bigint, weight float, cat string, price double", [(n, float(n), f"c{n}", n / 4) for n in range(30)]
    )
    queries = tables.new("q string, item bigint", [(f"q{n}", n % 30) for n in range(37)])
    shown = run_program("negative_sampler", items, queries, "3").splitlines()
    assert shown == ["('bigint', 'float') 30 " + '{"cat": "c0", "price": 0.0}', "37"]


@pytest.mark.parametrize("string_as", ["str", pytest.param("bytes", marks=pytest.mark.slow)])
def test_a_download_into_a_frame(tables: Tables, string_as: str) -> None:
    rows = [(f"n{n:03}", n, n / 2, "x" if n % 2 else None) for n in range(200)]
    table = tables.new("name string, x bigint, y double, note string", rows)
    output = tables.new("name string, x double, y double")
    shown = run_program("frame_download", table, output, PAIIO_STRING_AS=string_as)
    assert shown == "['name', 'x', 'y', 'note'] 200 200 19900 100\n"
    assert tables.rows(output) == [(name, x * 2, y * 2) for name, x, y, _ in rows]


@pytest.mark.slow
def test_a_loader_of_images(tables: Tables, tmp_path: Path) -> None:
    images = [bytes(range(n, 256)) for n in range(13)]
    rows = [(n, "unused", image, base64.b64encode(image)) for n, image in enumerate(images)]
    path = tables.new("id bigint, note string, raw binary, encoded string", rows)
    assert run_program("image_loader", path, cwd=tmp_path) == "True 3\n"
    # Nothing is written where a program happens to be run.
    assert list(tmp_path.iterdir()) == []
