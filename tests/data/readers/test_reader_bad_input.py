"""Every reader against roots one level off, half-extracted archives, strange names and files that come twice."""

import csv
import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from miniatures import MINIATURES
from unveil.cli.data.app import app
from unveil.data.check import check_dataset
from unveil.data.listing import FileNote
from unveil.datasets import READERS, reader
from unveil.errors import DataError

EVERY = sorted(MINIATURES)
# Not benchmarks with a filename pattern of their own: any folder, any table, and what is rendered.
OTHERS = {"folder", "manifest", "opreid", "world"}


def keys(dataset):
    return [(s.key, s.person, s.camera, s.clothes, s.split) for s in dataset.samples]


def test_every_benchmark_has_a_miniature():
    assert set(MINIATURES) | OTHERS == set(READERS)


@pytest.mark.parametrize("name", EVERY)
def test_miniatures_are_read_and_can_be_tested_on(tmp_path, put, name):
    dataset = reader(name)(put(name, tmp_path))
    assert dataset.query and dataset.gallery and not any(isinstance(note, FileNote) for note in dataset.notes)
    named = {s.person for s in dataset.query} & {s.person for s in dataset.gallery}
    assert named, "no query has a match"
    assert all(s.path.is_file() for s in dataset.samples)


@pytest.mark.parametrize("name", EVERY)
def test_a_root_one_level_too_high_is_found(tmp_path, put, name):
    root = put(name, tmp_path / "sets")
    assert keys(reader(name)(root.parent)) == keys(reader(name)(root))


@pytest.mark.parametrize("name", sorted(set(EVERY) - {"occluded_duke"}))
def test_a_renamed_root_one_level_too_high_is_found_and_said(tmp_path, put, name):
    root = put(name, tmp_path / "sets")
    whole = keys(reader(name)(root))
    renamed = root.rename(root.with_name("unusual"))
    dataset = reader(name)(renamed.parent)
    assert keys(dataset) == whole
    assert any("is above the dataset; read" in note for note in dataset.notes)


@pytest.mark.parametrize("name", EVERY)
def test_a_root_one_level_too_low_is_found_and_said(tmp_path, put, name):
    root = put(name, tmp_path)
    inside = root / MINIATURES[name].names[0].split("/")[0]
    dataset = reader(name)(inside)
    assert keys(dataset) == keys(reader(name)(root))
    if inside not in {s.path.parent for s in reader(name)(root).samples} or len({*root.iterdir()}) > 1:
        assert any("is inside the dataset; read" in note for note in dataset.notes)


@pytest.mark.parametrize("name", EVERY)
def test_a_half_extracted_archive_is_said(tmp_path, put, name):
    root = put(name, tmp_path)
    needed = root / MINIATURES[name].needed
    for path in list(needed.rglob("*")):
        if path.is_file():
            path.unlink()
    with pytest.raises(DataError, match=r"extracted only in part|no image named as in"):
        reader(name)(root)
    shutil.rmtree(needed)
    with pytest.raises(DataError, match=r"missing|no image named as in|extracted only in part|no such folder"):
        reader(name)(root)


@pytest.mark.parametrize("name", [n for n in EVERY if MINIATURES[n].strange])
def test_names_outside_the_filename_pattern_are_all_listed_and_never_guessed(tmp_path, put, crops, name):
    root = put(name, tmp_path)
    whole = keys(reader(name)(root))
    strange = MINIATURES[name].strange
    stem, _, suffix = strange.rpartition(".")
    added = [f"{stem}.{suffix}", *(f"{stem}_{i}.{suffix}" for i in range(30))]
    crops(root, added)
    report = check_dataset(reader(name)(root))
    assert keys(reader(name)(root)) == whole
    ((note, files),) = report.listed.items()
    assert "31 of" in note and "do not match" in note
    assert sorted(files) == sorted((root / file).as_posix() for file in added)
    assert not report.clean


@pytest.mark.parametrize("name", [n for n in EVERY if MINIATURES[n].twin])
def test_two_files_of_one_person_and_frame_are_listed(tmp_path, put, crops, name):
    root, twin = put(name, tmp_path), MINIATURES[name].twin
    crops(root, [twin])
    report = check_dataset(reader(name)(root))
    ((note, files),) = report.listed.items()
    assert "2 files share person and frame" in note
    assert (
        any(twin.endswith(file) for file in files)
        and len(files) == 2
        and len({file.rpartition(".")[0] for file in files}) == 1
    )


def test_the_command_lists_all_of_them_as_json_and_in_a_file(tmp_path, put, crops):
    root = put("ltcc", tmp_path)
    crops(root, [f"query/copy_{i:02d}.png" for i in range(40)])
    run = CliRunner().invoke
    result = run(app, ["check", "ltcc", str(root), "--csv", str(tmp_path / "found.csv")])
    assert result.exit_code == 1
    assert "40 of 41 image names" in result.stdout and "... and 20 more" in result.stdout
    rows = list(csv.DictReader((tmp_path / "found.csv").open()))
    assert [row["file"] for row in rows] == [f"{root}/query/copy_{i:02d}.png" for i in range(40)]
    found = json.loads(run(app, ["check", "ltcc", str(root), "--json"]).stdout)
    assert [len(files) for files in found["listed"].values()] == [40]


def test_a_files_name_is_no_formula_in_the_table_of_the_command(tmp_path, put, crops, monkeypatch):
    root = put("ltcc", tmp_path)
    crops(root, ["query/copy_1.png"])
    root.rename(tmp_path / "@ltcc")
    monkeypatch.chdir(tmp_path)
    assert CliRunner().invoke(app, ["check", "ltcc", "@ltcc", "--csv", "found.csv"]).exit_code == 1
    rows = list(csv.DictReader(Path("found.csv").read_text().splitlines()))
    assert [row["file"] for row in rows] == ["'@ltcc/query/copy_1.png"]
