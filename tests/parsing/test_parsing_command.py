"""``unveil parse`` with the package's own parser, its table of shares, its sheet, and what it says when it fails."""

import csv
import json

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from unveil.cli import app
from unveil.errors import DataError, UnveilError
from unveil.label_sets import LIP20
from unveil.parsing.formats.schp import read_label_png
from unveil.parsing.sheet import CELL, GAP, beside, write_grid


@pytest.fixture
def folder(tmp_path):
    pytest.importorskip("onnxruntime", reason="ONNX Runtime (extra 'onnx') is not installed")
    for k in range(3):
        path = tmp_path / f"crops/{k % 2}/c{k}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(k).integers(0, 256, (48 + k, 24, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(path)
    return tmp_path / "crops"


def run(*arguments):
    return CliRunner().invoke(app, ["-q", "parse", *map(str, arguments)])


def test_a_folder_becomes_maps_shares_and_a_sheet(tmp_path, folder):
    result = run(folder, "--out", tmp_path / "out", "--sheet", tmp_path / "sheet.png", "--json", "--threads", 1)
    assert result.exit_code == 0, result.output
    summary = json.loads(result.stdout)
    assert (summary["written"], summary["kept"], summary["unreadable"], summary["scheme"]) == (3, 0, [], "lip20")
    tree = tmp_path / "out/parsing/lip20"
    assert read_label_png(tree / "0/c2.png.png", LIP20).shape == (50, 24)
    with (tree / "visibility.csv").open() as f:
        rows = {row["path"]: row for row in csv.DictReader(f)}
    assert sorted(rows) == ["0/c0.png", "0/c2.png", "1/c1.png"] and list(rows["0/c0.png"]) == [
        "path", *summary["visibility"]
    ]  # fmt: skip
    assert all(0 <= float(row["body"]) <= 1 for row in rows.values())
    assert Image.open(tmp_path / "sheet.png").size == (3 * (2 * CELL[1] + GAP), CELL[0] + GAP)
    (tree / "1/c1.png.png").unlink()
    again = json.loads(run(folder, "--out", tmp_path / "out", "--json", "--threads", 1).stdout)
    assert (again["written"], again["kept"]) == (1, 2)


def test_another_label_set_of_the_same_parser(tmp_path, folder):
    result = run(folder, "--out", tmp_path, "--scheme", "pab6", "--threads", 1)
    assert result.exit_code == 0 and (tmp_path / "parsing/pab6/0/c0.png.png").is_file()
    wrong = run(folder, "--out", tmp_path, "--scheme", "pab", "--threads", 1)
    assert isinstance(wrong.exception, DataError) and "did you mean 'pab6'" in str(wrong.exception)


def test_what_cannot_be_parsed_is_listed_and_nothing_at_all_is_an_error(tmp_path, folder):
    (folder / "0/c0.png").write_bytes(b"broken")
    some = run(folder, "--out", tmp_path / "some", "--threads", 1)
    assert some.exit_code == 1 and "c0.png" in some.stderr and "2 maps written" in some.stdout
    for path in folder.rglob("*.png"):
        path.write_bytes(b"")
    none = run(folder, "--out", tmp_path / "none", "--threads", 1, "--sheet", tmp_path / "s.png")
    assert isinstance(none.exception, UnveilError) and "not one of 3 crops" in str(none.exception)
    assert all(f"c{k}.png" in none.stderr for k in range(3)) and not (tmp_path / "s.png").exists()


def test_two_sources_of_maps_are_refused(tmp_path, folder):
    result = run(folder, "--out", tmp_path, "--model", "card.json", "--maps", tmp_path)
    assert isinstance(result.exception, UnveilError) and "either --model" in str(result.exception)


def test_a_kind_of_maps_without_maps_is_refused(tmp_path, folder):
    result = run(folder, "--out", tmp_path / "out", "--kind", "fields")
    assert isinstance(result.exception, UnveilError) and "--maps" in str(result.exception)
    assert not (tmp_path / "out").exists()


def test_a_sheet_shows_labels_in_the_colours_of_the_field(tmp_path):
    labels = np.zeros((40, 20), np.uint8)
    labels[:20] = 5
    cell = beside(np.full((40, 20, 3), 7, np.uint8), [labels, labels], scheme=LIP20)
    assert cell.shape == (CELL[0], 3 * CELL[1], 3) and (cell[:, : CELL[1]] == 7).all()
    assert cell[3, -3].tolist() == LIP20.palette[5].tolist() and cell[-3, -3].tolist() == [0, 0, 0]
    write_grid([cell] * 3, tmp_path / "s.png", columns=2)
    assert Image.open(tmp_path / "s.png").size == (2 * (3 * CELL[1] + GAP), 2 * (CELL[0] + GAP))
    with pytest.raises(UnveilError, match=r"\.gif"):
        write_grid([cell], tmp_path / "s.gif")
    with pytest.raises(DataError, match="at least one crop"):
        write_grid([], tmp_path / "s.png")
