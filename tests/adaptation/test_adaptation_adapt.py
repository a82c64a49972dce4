"""The whole adaptation: a better model is written, a worse one is not, a killed run ends as an unbroken one."""

from __future__ import annotations

import dataclasses
import json
import logging
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="the extra adapt is not installed")

from tracked import PEOPLE

from command_line import run
from untrained import make_model
from unveil.adaptation.acceptance import WorseModelError, compare, is_worse, make_test
from unveil.adaptation.adapt import adapt
from unveil.adaptation.settings import AdaptSettings
from unveil.adaptation.stages.clusters import STATE
from unveil.adaptation.task import REPORT, Task
from unveil.errors import CheckpointError, DataError, UnveilError
from unveil.models.checkpoint import load_model
from unveil.records import Embedding

SHORT = AdaptSettings(epochs=2, persons=4, neighbours=3, held_out=0.4)


@pytest.fixture(scope="module")
def adapted(dataset, tmp_path_factory):
    """The folder of an adaptation, the model that was given to it, a copy of its weights before, and what came out."""
    folder = tmp_path_factory.mktemp("adapted")
    given = load_model(make_model(folder / "base", height=64, width=32))
    before = {name: tensor.clone() for name, tensor in given.method.state_dict().items()}
    made = adapt(given, [dataset], out=folder / "out", settings=SHORT, cache=folder / "cache", keep_worse=True)
    return folder / "out", given, before, made


def test_an_adapted_model_says_what_it_is_derived_from(adapted):
    out, given, _, made = adapted
    done = made.card.adaptation
    assert done.base == given.card.fingerprint != made.card.fingerprint
    assert done.cameras == made.cameras == ("c0", "c1") and done.stages == AdaptSettings.stages
    assert [(s.images, s.persons) for s in done.data] == [(PEOPLE * 8, 0)]
    assert done.evaluation["tracklets"] == round(0.4 * 2 * PEOPLE) and "tracklets" in done.evaluation["among"]
    report = json.loads((out / REPORT).read_text())
    assert len(report["epochs"]) == 2 and report["epochs"][0]["clusters"] >= 4
    assert not (out / STATE).exists()


def test_the_model_given_is_not_changed(adapted):
    _, given, before, _ = adapted
    assert all(bool((before[name] == tensor).all()) for name, tensor in given.method.state_dict().items())


def test_statistics_alone_leave_the_weights(model, dataset, tmp_path):
    settings = dataclasses.replace(SHORT, stages=("statistics",))
    adapted = adapt(
        model, [dataset], out=tmp_path / "out", settings=settings, cache=tmp_path / "cache", keep_worse=True
    )
    own = dict(adapted.method.named_parameters())
    assert all(bool((own[name] == p).all()) for name, p in model.method.named_parameters())
    assert adapted.cameras == ("c0", "c1")


def test_clusters_alone_keep_no_statistics_of_cameras(model, dataset, tmp_path):
    settings = dataclasses.replace(SHORT, stages=("clusters",))
    adapted = adapt(
        model, [dataset], out=tmp_path / "out", settings=settings, cache=tmp_path / "cache", keep_worse=True
    )
    assert adapted.cameras == ()


def test_tracklets_alone_are_groups_of_their_own(model, dataset, tmp_path):
    settings = dataclasses.replace(SHORT, stages=("tracklets",), held_out=0.0)
    adapt(model, [dataset], out=tmp_path / "out", settings=settings, cache=tmp_path / "cache")
    epochs = json.loads((tmp_path / "out" / REPORT).read_text())["epochs"]
    assert [epoch["clusters"] for epoch in epochs] == [2 * PEOPLE] * 2 and not any(e["outliers"] for e in epochs)
    bare = dataclasses.replace(dataset, samples=tuple(dataclasses.replace(s, tracklet=None) for s in dataset.samples))
    with pytest.raises(DataError, match="0 clusters were found"):
        adapt(model, [bare], out=tmp_path / "none", settings=settings, cache=tmp_path / "cache")


def test_without_tracklets_more_pairs_are_joined_from_epoch_to_epoch_and_nothing_is_evaluated(model, dataset, tmp_path):
    bare = dataclasses.replace(dataset, samples=tuple(dataclasses.replace(s, tracklet=None) for s in dataset.samples))
    settings = dataclasses.replace(SHORT, epochs=3, pairs=0.2, lr=1e-8, share=0.0)
    made = adapt(model, [bare], out=tmp_path / "out", settings=settings, cache=tmp_path / "cache")
    shares = [epoch["outliers"] for epoch in json.loads((tmp_path / "out" / REPORT).read_text())["epochs"]]
    assert shares[0] > shares[1] > shares[2]
    assert made.card.adaptation.evaluation == {}


def test_a_worse_model_is_not_written_unless_asked_for(model, dataset, tmp_path, monkeypatch):
    # A network that has learnt to tell nobody apart: every vector of the model after is the same.
    import unveil.adaptation.task as module

    real = module.embed_as_used

    def blind_after(embedder, crops):
        found = real(embedder, crops)
        if embedder.camera_statistics is not None:
            found = dataclasses.replace(found, vectors=np.ones_like(found.vectors))
        return found

    monkeypatch.setattr(module, "embed_as_used", blind_after)
    settings = dataclasses.replace(SHORT, stages=("statistics",))
    with pytest.raises(WorseModelError, match="keep it all the same with --keep-worse"):
        adapt(model, [dataset], out=tmp_path / "out", settings=settings, cache=tmp_path / "cache")
    assert not (tmp_path / "out" / "model.safetensors").exists()
    evaluation = json.loads((tmp_path / "out" / REPORT).read_text())["evaluation"]["mrr"]
    assert evaluation["after"] < evaluation["before"]
    adapt(model, [dataset], out=tmp_path / "out", settings=settings, cache=tmp_path / "cache", keep_worse=True)
    assert (tmp_path / "out" / "model.safetensors").exists()


def test_a_killed_run_ends_as_an_unbroken_one(manifest, tmp_path, caplog):
    base = make_model(tmp_path / "base", height=64, width=32)

    def words(name):
        options = ["--epochs", 3, "--neighbours", 3, "--held-out", 0.4, "--keep-worse", "--cache", tmp_path / "cache"]
        return [*map(str, ("adapt", base, manifest, "--out", tmp_path / name, *options)), "--skip-person-check"]

    run(*words("whole"))
    process = subprocess.Popen(
        [sys.executable, "-m", "unveil", *words("killed")], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    state, end = tmp_path / "killed" / STATE, time.monotonic() + 300
    while not state.exists() and process.poll() is None and time.monotonic() < end:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert state.exists() and not (tmp_path / "killed" / "model.safetensors").exists()
    with caplog.at_level(logging.INFO):
        run(*words("killed"))
    assert "resuming after epoch" in caplog.text
    fingerprints = [load_model(tmp_path / name).card.fingerprint for name in ("whole", "killed")]
    assert fingerprints[0] == fingerprints[1]


def test_a_state_of_other_settings_is_refused(model, dataset, tmp_path):
    import torch

    out = tmp_path / "out"
    out.mkdir()
    torch.save({"identity": "0" * 16, "epoch": 1, "steps": 1}, out / STATE)
    with pytest.raises(CheckpointError, match="belongs to another model, other crops or other settings"):
        adapt(model, [dataset], out=out, settings=SHORT, cache=tmp_path / "cache")
    (out / STATE).write_bytes(b"half a file")
    with pytest.raises(CheckpointError, match="is damaged"):
        adapt(model, [dataset], out=out, settings=SHORT, cache=tmp_path / "cache")


def test_a_state_knows_the_columns_that_it_was_trained_with(model, dataset, tmp_path):
    """Places, cameras and tracklets are corrected in a manifest whose crops stay the same files."""
    import unveil.adaptation.adapt as module

    # Without times no two tracklets are known to be two people, so that nothing but the column tells.
    samples = [dataclasses.replace(s, time=None) for s in dataset.samples]
    first = {s.key for s in samples if s.camera == samples[0].camera and s.tracklet == samples[0].tracklet}
    said = [
        module._identity(model, Task.open([one], model.crop_size, settings=SHORT, cache=tmp_path), settings=SHORT)
        for one in (
            dataclasses.replace(dataset, samples=tuple(rows))
            for rows in (
                samples,
                samples,
                [dataclasses.replace(s, extra={"place": str(n % 2)}) for n, s in enumerate(samples)],
                [dataclasses.replace(s, camera="c2") if s.key in first else s for s in samples],
                [dataclasses.replace(samples[0], tracklet="t1"), *samples[1:]],
            )
        )
    ]
    assert said[0] == said[1] and len(set(said)) == 4


def test_crops_of_one_person_are_too_few_clusters(model, dataset, tmp_path):
    one = tuple(
        dataclasses.replace(s, tracklet="t0", camera="c0") for s in dataset.samples if s.key.startswith("images/0")
    )
    single = dataclasses.replace(dataset, samples=one)
    settings = dataclasses.replace(SHORT, crops_per_tracklet=40, held_out=0.0)
    with pytest.raises(DataError, match="1 clusters were found among 1 tracklets"):
        adapt(model, [single], out=tmp_path / "out", settings=settings, cache=tmp_path / "cache")


def test_a_folder_with_a_model_is_not_written_over(model, dataset, tmp_path):
    with pytest.raises(UnveilError, match="already holds a model"):
        adapt(model, [dataset], out=tmp_path / "base", settings=SHORT)


@pytest.mark.parametrize(
    "wrong",
    [
        {"radius": 1.5},
        {"grouping": "kmeans"},
        {"pairs": 0},
        {"share": 2},
        {"stages": ("colours",)},
        {"held_out": 0.9},
        {"epochs": 0},
    ],
)
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(UnveilError, match="expected"):
        AdaptSettings(**wrong)


def test_the_test_counts_ranks_among_rivals(dataset, tmp_path):
    from unveil.adaptation.crops import UnlabelledCrops
    from unveil.data.fitting import CropSize

    crops = UnlabelledCrops.open([dataset], CropSize(64, 32), per_tracklet=8, cache=tmp_path / "cache")
    test = make_test(crops)
    assert len(test) == 2 * PEOPLE and (test.rivals.sum(1) == 1).all()
    codes = np.eye(2 * PEOPLE, dtype=np.float32)[test.halves // 2]
    right = Embedding(codes[:, None], np.ones((len(codes), 1), np.float32))
    alike = dataclasses.replace(right, vectors=np.ones_like(right.vectors))
    figures = compare(test, alike, after=right)
    assert figures["rank1"]["before"] == 0 and figures["rank1"]["after"] == 100
    assert figures["mrr"]["before"] == pytest.approx(66.67) and not is_worse(figures)
    assert is_worse(compare(test, right, after=alike))
