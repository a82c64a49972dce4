"""Models of other projects learn the mean vectors of cameras, and work wherever they did before."""

from __future__ import annotations

import json

import numpy as np
import pytest
from tracked import write_tracklets

from external import write_external
from unveil.adaptation.centring import CENTRES, adapt_external
from unveil.adaptation.settings import AdaptSettings
from unveil.cli import main
from unveil.datasets.sources import crops_of
from unveil.errors import CheckpointError, DataError, UnveilError
from unveil.inference.load import load_engine
from unveil.models.foreign.camera_centres import take_centres, unit
from unveil.records import Embedding

STATISTICS = AdaptSettings(stages=("statistics",), held_out=0.4, prior=2)


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    return write_tracklets(tmp_path_factory.mktemp("crops"), people=30)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_external(tmp_path_factory.mktemp("model"), channels="bgr")


def test_vectors_of_a_camera_lose_its_mean_and_those_of_no_camera_that_of_all(model, manifest, tmp_path):
    everything = AdaptSettings(stages=("statistics",), held_out=0.0, prior=0)
    crops = crops_of(str(manifest))
    adapt_external(model, [crops], out=tmp_path / "out", settings=everything, cache=tmp_path / "cache")
    before, after = load_engine(model), load_engine(tmp_path / "out")
    assert after.cameras == ("c0", "c1") and after.fingerprint != before.fingerprint
    samples = crops.samples
    plain = before.embed([s.path for s in samples]).vectors
    cameras = np.array([s.camera for s in samples])
    for camera in ("c0", "c1"):
        own = cameras == camera
        found = after.embed([s.path for s in samples if s.camera == camera], cameras=[camera] * own.sum()).vectors
        assert np.allclose(found, unit(plain[own] - plain[own].mean(0)), atol=1e-4)
    unknown = after.embed([samples[0].path], cameras=["c9"]).vectors
    assert np.allclose(unknown, unit(plain[:1] - plain.mean(0)), atol=1e-4)
    assert np.allclose(unknown, after.embed([samples[0].path]).vectors)


def test_lengths_that_count_are_kept():
    vectors = np.arange(24, dtype=np.float32).reshape(4, 2, 3)
    shown = np.ones((4, 2), np.float32)
    shown[0, 1] = 0
    centres = take_centres(Embedding(vectors, shown, ("a", "b")), ["x", "x", "y", None], prior=0)
    assert centres.cameras == ("x", "y")
    assert np.allclose(centres.of("x")[0], vectors[:2, 0].mean(0)) and np.allclose(centres.of("x")[1], vectors[1, 1])
    assert np.allclose(centres.of(None)[0], vectors[:, 0].mean(0)) and np.allclose(centres.of("z"), centres.of(None))
    drawn = take_centres(Embedding(vectors, shown, ("a", "b")), ["x", "x", "y", None], prior=10**9)
    assert np.allclose(drawn.of("y"), drawn.of(None), atol=1e-5)


def test_the_command_adapts_evaluates_and_writes_a_card(model, manifest, tmp_path, monkeypatch, capsys):
    out = tmp_path / "out"
    words = ["adapt", model, manifest, "--out", out, "--held-out", 0.4, "--skip-person-check", "--keep-worse", "--json"]
    monkeypatch.setattr("sys.argv", ["unveil", "--quiet", *map(str, words), "--cache", str(tmp_path / "cache")])
    with pytest.raises(SystemExit) as end:
        main()
    told = json.loads(capsys.readouterr().out)
    assert not end.value.code and told["evaluation"]["mrr"].keys() == {"before", "after", "difference"}
    card = json.loads((out / "model.json").read_text())
    assert card["adaptation"]["base"] == load_engine(model).fingerprint and card["adaptation"]["cameras"] == [
        "c0",
        "c1",
    ]
    assert card["channels"] == "bgr" and told["model"] == load_engine(out).fingerprint
    assert json.loads((out / "adaptation.json").read_text())["evaluation"] == told["evaluation"]


def test_what_cannot_be_adapted_is_refused(model, manifest, tmp_path):
    crops = [crops_of(str(manifest))]
    cache = tmp_path / "cache"
    with pytest.raises(UnveilError, match="--stages statistics,whitening is all that can be adapted"):
        adapt_external(model, crops, out=tmp_path / "out", settings=AdaptSettings(), cache=cache)
    folder = [crops_of(str(manifest.parent / "images"))]
    with pytest.raises(DataError, match="the crops name none"):
        adapt_external(model, folder, out=tmp_path / "out", settings=STATISTICS, cache=cache)
    assert not (tmp_path / "out" / "model.json").exists()
    adapt_external(model, crops, out=tmp_path / "out", settings=STATISTICS, cache=cache, keep_worse=True)
    with pytest.raises(UnveilError, match="already holds a model"):
        adapt_external(model, crops, out=tmp_path / "out", settings=STATISTICS, cache=cache)
    with pytest.raises(UnveilError, match="is adapted already"):
        adapt_external(tmp_path / "out" / "model.json", crops, out=tmp_path / "again", settings=STATISTICS, cache=cache)


@pytest.mark.parametrize("what", ["missing", "damaged", "other"])
def test_means_that_are_not_those_of_the_card_are_refused(model, manifest, tmp_path, what):
    out = tmp_path / "out"
    adapt_external(
        model, [crops_of(str(manifest))], out=out, settings=STATISTICS, cache=tmp_path / "cache", keep_worse=True
    )
    path = out / CENTRES
    if what == "missing":
        path.unlink()
    elif what == "damaged":
        path.write_bytes(path.read_bytes()[:-1] + b"\0")
    else:
        card = json.loads((out / "model.json").read_text())
        card["centres"]["file"] = "../" + CENTRES
        (out / "model.json").write_text(json.dumps(card))
    message = {"missing": "missing: model.onnx", "damaged": "not the file that the card", "other": "centres.file"}[what]
    with pytest.raises(CheckpointError, match=message):
        load_engine(out)
