"""The package's recipes are listed with what they need, and shown with all their keys."""

from __future__ import annotations

import json

import pytest
import yaml
from typer.testing import CliRunner

from unveil.cli import app
from unveil.cli.models.recipes import find_recipe, recipe_names
from unveil.recipe import load_recipe


@pytest.fixture(scope="module")
def rows():
    return {row["recipe"]: row for row in json.loads(CliRunner().invoke(app, ["train", "--list", "--json"]).stdout)}


def test_every_recipe_is_listed_with_what_its_data_must_have(rows):
    assert list(rows) == recipe_names()
    assert rows["bot"] == {
        "recipe": "bot", "method": "bot", "backbone": "resnet50", "input": "256x128", "batch": "16x4", "epochs": 120,
        "needs": "",
        "about": "BoT with the settings of its paper (Luo et al., CVPR Workshops 2019), without the centre loss",
    }  # fmt: skip
    assert rows["cal"]["needs"] == "outfits"
    assert rows["pab"]["needs"] == "maps in pab6"
    assert rows["cre"]["needs"] == "outfits, maps in cre7"


@pytest.mark.parametrize("name", recipe_names())
def test_the_comment_of_a_recipe_begins_with_a_whole_sentence(rows, name):
    about = rows[name]["about"]
    assert about and about.count("(") == about.count(")")


def test_a_terminal_gets_a_table():
    text = CliRunner().invoke(app, ["train", "--list"], env={"COLUMNS": "200"}).stdout
    assert "efficientnet_lite0" in text and "outfits" in text


def test_a_recipe_is_shown_with_all_its_keys_and_trains_nothing(tmp_path):
    out = tmp_path / "run"
    shown = CliRunner().invoke(app, ["train", "bot", "train.epochs=3", "--show", "--out", str(out)]).stdout
    found = yaml.safe_load(shown)
    assert found == load_recipe(find_recipe("bot"), ["train.epochs=3"]).model_dump(mode="json")
    assert found["train"]["epochs"] == 3 and not out.exists()
