"""Robustness curves on a tiny world, with two real models."""

import csv
import json

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from unveil.cli import app
from unveil.datasets import load_dataset
from unveil.errors import DataError, ProtocolError
from unveil.experiments.robustness import run_robustness, to_csv
from unveil.models.checkpoint import load_model
from unveil.models.evaluate import evaluate_model
from unveil.recipe import DataSource, load_recipe
from unveil.training.loop import train

SMALL = ["backbone.name=osnet_x0_25", "backbone.init=random", "input.height=32", "input.width=32", "train.epochs=1"]
RATIOS = (0.5, 0.0)


@pytest.fixture(scope="module")
def source(rendered):
    return DataSource(name="world", root=rendered)


@pytest.fixture(scope="module")
def runs(source, tmp_path_factory):
    """A network that saw one epoch, and colour histograms."""
    folder = tmp_path_factory.mktemp("runs")
    for name, method in (("network", "bot"), ("colours", "histogram")):
        settings = [*SMALL, f"method.name={method}", f"data.train={source}", "sampler.persons=2", "sampler.images=2"]
        train(load_recipe(None, settings), folder / name)
    return folder


@pytest.fixture(scope="module")
def things(tmp_path_factory):
    folder = tmp_path_factory.mktemp("things")
    Image.new("RGBA", (40, 60), (250, 0, 250, 255)).save(folder / "box.png")
    return folder


@pytest.fixture(scope="module")
def found(runs, source, things, tmp_path_factory):
    out = tmp_path_factory.mktemp("robustness")
    models = {name: load_model(runs / name) for name in ("network", "colours")}
    return out, models, run_robustness(models, source, out=out, ratios=RATIOS, cutouts=things)


def test_every_model_style_and_ratio_is_a_point(found):
    out, models, points = found
    expected = [(m, s, r) for m in models for s in ("blocks", "cutouts", "people") for r in (0.0, 0.5)]
    assert [(p.model, p.style, p.ratio) for p in points] == expected
    for p in points:
        assert p.occluded == pytest.approx(100 * p.ratio, abs=7) and p.low <= p.mAP <= p.high
        assert p.fingerprint == models[p.model].card.fingerprint and p.unreadable == 0
    for name in ("robustness.png", "report.html", "examples.jpg"):
        assert (out / name).stat().st_size > 1000
    rows = list(csv.DictReader((out / "robustness.csv").open()))
    assert [float(row["mAP"]) for row in rows] == [p.mAP for p in points]
    assert json.loads((out / "robustness.json").read_text())[3]["rank1"] == points[3].rank1
    assert Image.open(out / "examples.jpg").size == (2 * 83 - 3, 6 * 163 - 3)


def test_nothing_hidden_is_the_plain_evaluation_in_every_style(found, source):
    _, models, points = found
    for name, model in models.items():
        plain = evaluate_model(model, [source], protocols=["world-general"])[0]
        whole = [p for p in points if p.model == name and p.ratio == 0]
        assert len(whole) == 3
        assert all(p.mAP == pytest.approx(100 * plain.mean_ap, abs=0.006) and p.occluded == 0 for p in whole)
        assert {p.protocol for p in whole} == {f"world-general#{plain.protocol_hash}"}


def test_only_queries_are_hidden_by_people_of_the_training_part(found, source):
    out = found[0]
    dataset = load_dataset(source)
    for style in ("blocks", "cutouts", "people"):
        with (out / "occluded" / f"{style}-0.5" / "occlusion.csv").open() as f:
            table = list(csv.DictReader(f))
        assert [row["path"] for row in table] == [s.key for s in dataset.query]
        for sample in dataset.query:
            twin = out / "occluded" / f"{style}-0.5" / sample.key
            assert (np.asarray(Image.open(twin)) != np.asarray(Image.open(sample.path))).any()
        if style == "people":
            assert {row["what"] for row in table} <= {s.key for s in dataset.train}
        assert not (out / "occluded" / f"{style}-0.5" / "manifest.csv").exists()


def test_the_same_call_gives_the_same_bytes_and_another_seed_others(found, runs, source, things, tmp_path):
    out, models, points = found
    again = run_robustness(models, source, out=tmp_path / "a", ratios=RATIOS, cutouts=things)
    assert to_csv(again) == to_csv(points) == (out / "robustness.csv").read_text()
    other = run_robustness(
        {"colours": models["colours"]}, source, out=tmp_path / "b", styles=("blocks",), ratios=(0.5,), seed=1
    )
    one, two = (tmp_path / x / "occluded/blocks-0.5" for x in "ab")
    assert any((one / s.key).read_bytes() != (two / s.key).read_bytes() for s in load_dataset(source).query)
    assert len(other) == 1


def test_without_maps_people_are_left_out_unless_asked_for(runs, manifest, things, tmp_path):
    source = DataSource(name="manifest", root=manifest)
    models = {"colours": load_model(runs / "colours")}
    points = run_robustness(models, source, out=tmp_path, ratios=(0.3,), cutouts=things)
    assert [p.style for p in points] == ["blocks", "cutouts"]
    with pytest.raises(DataError, match="needs parsing maps"):
        run_robustness(models, source, out=tmp_path, styles=("people",), ratios=(0.3,))
    with pytest.raises(DataError, match="at least one model"):
        run_robustness({}, source, out=tmp_path)
    with pytest.raises(ProtocolError, match="no protocol 'cuhk'"):
        run_robustness(models, source, out=tmp_path, protocol="cuhk")
    with pytest.raises(DataError, match=r"must lie in \[0, 1\]"):
        run_robustness(models, source, out=tmp_path, styles=("blocks",), ratios=(1.5,))


def test_the_command(found, runs, source, tmp_path):
    words = [
        "-q",
        "robustness",
        str(runs / "network"),
        str(runs / "colours"),
        "--data",
        str(source),
        "--style",
        "blocks",
    ]
    run = CliRunner().invoke
    result = run(app, [*words, "--ratio", "0.4", "--out", str(tmp_path), "-p", "world-sc", "--json"])
    points = json.loads(result.stdout)
    assert [(p["model"], p["ratio"]) for p in points] == [("network", 0.4), ("colours", 0.4)]
    assert all(p["protocol"].startswith("world-sc#") for p in points)
    wrong = run(app, ["-q", "robustness", str(runs / "network"), "--style", "block"])
    assert isinstance(wrong.exception, DataError) and "did you mean 'blocks'" in str(wrong.exception)
