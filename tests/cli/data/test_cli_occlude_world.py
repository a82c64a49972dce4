"""``unveil occlude`` on a world: its own labels, other label sets, things that occlude, JSON and sheet."""

import csv
import json

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from unveil.cli import app
from unveil.datasets import load_dataset
from unveil.errors import UnveilError
from unveil.recipe import DataSource
from unveil.world.labels import table


def run(*words):
    result = CliRunner().invoke(app, ["-q", *map(str, words)])
    if isinstance(result.exception, UnveilError):
        raise result.exception
    return result


def rows(out):
    with (out / "occlusion.csv").open(newline="") as f:
        return list(csv.DictReader(f))


def test_the_worlds_own_labels_and_lip_hide_the_same_parts(rendered, tmp_path):
    reports = {}
    for scheme in ("world", "lip20", "pascal7"):
        done = run("occlude", f"world:{rendered}?scheme={scheme}", tmp_path / scheme, "--present-only", "--json")
        reports[scheme] = json.loads(done.stdout)
        assert reports[scheme]["images"] == 32 and reports[scheme]["without_parsing"] == 0
    own, pascal = rows(tmp_path / "world"), rows(tmp_path / "pascal7")
    assert own == pascal
    assert 0.05 < reports["world"]["occluded_person"] < 0.7
    twin = load_dataset(DataSource.model_validate(f"manifest:{tmp_path / 'world'}?name=twin"))
    assert twin.parsing_scheme == "world" and all(s.parsing.is_file() for s in twin.samples)
    assert len(twin.samples) == 32 and {s.split for s in twin.samples} == {"train", "query", "gallery"}


def test_what_is_hidden_is_background_in_the_twins_map(rendered, tmp_path):
    run("occlude", f"world:{rendered}?scheme=world", tmp_path / "out", "--style", "blocks", "--ratio", 0.5)
    components = table("pascal7")
    for sample in load_dataset(DataSource.model_validate(f"world:{rendered}?scheme=world")).samples:
        before = np.asarray(Image.open(sample.parsing))
        after = np.asarray(Image.open(tmp_path / "out/parsing/world" / f"{sample.key}.png"))
        seen = (components[after] > 0).sum() / (components[before] > 0).sum()
        assert seen == pytest.approx(0.5, abs=0.06)
        assert (after[after > 0] == before[after > 0]).all()


def test_things_of_the_world_hide_when_no_folder_is_named(rendered, tmp_path, monkeypatch):
    from unveil.world.capture import cutouts

    few = {name: cutouts.THINGS[name] for name in ("bin", "board")}
    monkeypatch.setattr(cutouts, "THINGS", few)
    monkeypatch.setattr(cutouts.cutouts_folder, "__defaults__", (2, 0))
    sheet = tmp_path / "sheet.jpg"
    words = ("occlude", f"world:{rendered}", tmp_path / "out", "--style", "cutouts", "--ratio", 0.4, "--sheet", sheet)
    report = json.loads(run(*words, "--json").stdout)
    assert report["occluded_person"] == pytest.approx(0.4, abs=0.06) and report["untouched"] == 0
    assert {row["what"] for row in rows(tmp_path / "out")} == {"0000_bin.png", "0001_board.png"}
    assert Image.open(sheet).size == (12 * 83 - 3, 6 * 163 - 3)
    with pytest.raises(UnveilError, match=r"use \.png or \.jpg"):
        run(*words[:-1], tmp_path / "sheet.gif")
