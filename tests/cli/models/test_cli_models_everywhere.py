"""A model of another project is a model wherever one is asked for."""

from __future__ import annotations

import json

import numpy as np

from command_line import run
from external import write_external
from generated import figure, write_crops
from unveil.gallery.output.heat_map import heat_map
from unveil.inference.load import load_engine


def test_evaluate_and_robustness_take_it(tmp_path):
    manifest, model = write_crops(tmp_path / "crops"), write_external(tmp_path)
    cache = ("--cache", tmp_path / "cache")
    whole = json.loads(run("evaluate", model, f"manifest:{manifest}", "--json", *cache).stdout)[0]
    assert whole["model"] == load_engine(model).fingerprint and whole["queries"] == 6
    # Six people, told apart by the colours of their clothes as this model sees them: their mean.
    assert whole["mean_ap"] > 0.4
    words = ("--data", f"manifest:{manifest}", "--style", "blocks", "--ratio", 0, "--ratio", 0.6)
    points = json.loads(run("robustness", model, *words, "--out", tmp_path / "r", "--json", *cache).stdout)
    assert [(point["model"], point["ratio"]) for point in points] == [("other", 0.0), ("other", 0.6)]
    assert points[1]["mAP"] < points[0]["mAP"]


def test_a_heat_map_needs_no_gradients(tmp_path):
    engine = load_engine(write_external(tmp_path))
    crop = np.full((64, 32, 3), 90, np.uint8)
    crop[16:32, 8:24] = (250, 20, 20)  # what makes it like the query: red
    found = heat_map(engine, engine.embed([np.full((64, 32, 3), (250, 20, 20), np.uint8)]), image=crop)
    assert found[20:28, 12:20].mean() > 0.8 and found[48:].mean() < 0.1
    assert heat_map(engine, engine.embed([figure(1, 0, 0)]), image=figure(1, 0, 1)).shape == (64, 32)
