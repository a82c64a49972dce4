"""Vectors are whitened within people: against a naive loop, on people made of numbers, and in the files of models."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file
from tracked import write_tracklets

from external import write_external
from untrained import make_model
from unveil.adaptation.adapt import adapt
from unveil.adaptation.centring import CENTRES, adapt_external
from unveil.adaptation.groups.pseudo_labels import Links
from unveil.adaptation.settings import AdaptSettings
from unveil.adaptation.stages.whitening import MIN_GROUPS, take_whitening, within_group_whitening
from unveil.atomic_io import sha256
from unveil.datasets.sources import crops_of
from unveil.errors import CheckpointError
from unveil.evaluation.distances import distance_matrix
from unveil.export.graph import Graph
from unveil.inference.load import load_engine
from unveil.models.checkpoint import load_model
from unveil.models.foreign.camera_centres import CameraCentres, unit
from unveil.records import Embedding

WHITENING = AdaptSettings(stages=("whitening",), held_out=0.0)


def embedding_of(vectors, shown=None):
    vectors = np.asarray(vectors, np.float32)
    shown = np.ones(vectors.shape[:2], np.float32) if shown is None else np.asarray(shown, np.float32)
    names = tuple(f"v{i}" for i in range(vectors.shape[1]))
    return Embedding(vectors, shown, names, "cosine")


def people(rng, count, *, moved=4.0):
    """Two crops of each person, one a camera: 24 numbers of the person, of which the first four move between crops."""
    own = rng.normal(size=(count, 24))
    crops = []
    for camera in range(2):
        away = np.zeros((count, 24))
        away[:, :4] = moved * rng.normal(size=(count, 4))
        crops.append(own + away + 0.5 * rng.normal(size=(count, 24)) + camera)
    vectors = unit(np.concatenate(crops))[:, None]
    return embedding_of(vectors), ["a"] * count + ["b"] * count


def rank1(embedding, count):
    distances = distance_matrix(embedding.select(slice(0, count)), embedding.select(slice(count, None)))
    return float((distances.argmin(axis=1) == np.arange(count)).mean())


def test_the_map_is_the_inverse_root_of_the_covariance_within_groups():
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(40, 2, 5)).astype(np.float32)
    shown = rng.uniform(0.2, 1, size=(40, 2)).astype(np.float32)
    shown[rng.uniform(size=(40, 2)) < 0.2] = 0
    groups = rng.integers(-1, 6, size=40)
    maps = within_group_whitening(embedding_of(vectors, shown), groups, shrinkage=0.3)
    for part in range(2):
        total = np.zeros((5, 5))
        for group in range(6):
            rows = [i for i in range(40) if groups[i] == group and shown[i, part] > 0]
            weight = shown[rows, part].astype(float)
            mean = sum(w * vectors[i, part] for w, i in zip(weight, rows, strict=True)) / weight.sum()
            for w, i in zip(weight, rows, strict=True):
                total += w / weight.sum() * np.outer(vectors[i, part] - mean, vectors[i, part] - mean)
        mixed = 0.7 * total / np.trace(total) + 0.3 * np.eye(5) / 5
        wanted = np.linalg.inv(mixed)
        found = maps[part].astype(float) @ maps[part]
        assert np.allclose(found / np.trace(found), wanted / np.trace(wanted), atol=1e-5)
        assert np.allclose(maps[part], maps[part].T, atol=1e-6) and np.isclose(np.linalg.det(maps[part]), 1, atol=1e-4)


def test_people_are_found_whose_vectors_moved_and_nobody_was_named():
    rng = np.random.default_rng(1)
    learnt, cameras = people(rng, 150)
    tested, _ = people(rng, 100)
    found = take_whitening(
        learnt, cameras, units=np.arange(300), links=Links.none(), pairs=0.4, shrinkage=0.3, prior=20
    )  # fmt: skip
    labels = ["a"] * 100 + ["b"] * 100
    moved = [
        unit(CameraCentres(("a", "b"), found.centres.means, found.matrix).apply(tested.vectors[i : i + 1], labels[i]))
        for i in range(200)
    ]
    after = rank1(embedding_of(np.concatenate(moved)), 100)
    before = rank1(tested, 100)
    assert after > before + 0.1, (before, after)


def test_few_groups_leave_the_vectors_centred(caplog):
    learnt, cameras = people(np.random.default_rng(2), 6)
    found = take_whitening(learnt, cameras, units=np.arange(12), links=Links.none(), pairs=0.4, shrinkage=0.5, prior=20)
    assert np.array_equal(found.matrix, np.eye(24)[None]) and found.centres.cameras == ("a", "b")
    assert "too few to whiten" in caplog.text and MIN_GROUPS > 6


@pytest.fixture(scope="module")
def crops(tmp_path_factory):
    return crops_of(str(write_tracklets(tmp_path_factory.mktemp("crops"), people=24)))


def test_a_models_file_keeps_the_whitening(crops, tmp_path):
    model = load_model(make_model(tmp_path / "base", height=64, width=32))
    adapted = adapt(model, [crops], out=tmp_path / "out", settings=WHITENING, cache=tmp_path / "cache", keep_worse=True)
    again = load_model(tmp_path / "out")
    assert again.cameras == ("c0", "c1") and model.method.whitening is None
    assert again.card.fingerprint == adapted.card.fingerprint != model.card.fingerprint
    images = np.random.default_rng(0).integers(0, 255, size=(5, 64, 32, 3), dtype=np.uint8)
    plain = unit(model.embed_crops(images).vectors)
    whitening, statistics = again.method.whitening, again.camera_statistics
    for camera, centre in ((None, whitening.centre.numpy()), ("c1", statistics.centres[1].numpy())):
        wanted = unit(np.einsum("ned,edf->nef", plain - centre, whitening.matrix.numpy()))
        with again.of_camera(camera):
            assert np.allclose(again.embed_crops(images).vectors, wanted, atol=1e-5)
    assert not np.allclose(whitening.centre, statistics.centres[1])
    with torch.inference_mode():
        found, _ = Graph(again)(torch.from_numpy(images))
    assert np.allclose(found, again.embed_crops(images).vectors, atol=1e-5)
    # Adapted again it begins from the network, not from whitened vectors.
    twice = adapt(again, [crops], out=tmp_path / "twice", settings=WHITENING, cache=tmp_path / "cache", keep_worse=True)
    assert np.allclose(twice.method.whitening.matrix, whitening.matrix, atol=1e-4)


def test_crops_that_name_no_camera_are_whitened_all_the_same(crops, tmp_path):
    bare = dataclasses.replace(crops, samples=tuple(dataclasses.replace(s, camera=None) for s in crops.samples))
    model = load_model(make_model(tmp_path / "base", height=64, width=32))
    adapted = adapt(model, [bare], out=tmp_path / "out", settings=WHITENING, cache=tmp_path / "cache", keep_worse=True)
    assert adapted.cameras == () and load_model(tmp_path / "out").method.whitening is not None
    path = write_external(tmp_path, name="other")
    assert adapt_external(
        path, [bare], out=tmp_path / "own", settings=WHITENING, cache=tmp_path / "cache", keep_worse=True
    )


def test_models_of_others_are_whitened_and_a_file_that_does_not_fit_is_refused(crops, tmp_path):
    path = write_external(tmp_path, name="other")
    out = tmp_path / "out"
    adapt_external(path, [crops], out=out, settings=WHITENING, cache=tmp_path / "cache", keep_worse=True)
    stored = load_file(out / CENTRES)
    first = [crops.samples[0].path]
    plain = unit(load_engine(path).embed(first).vectors)
    wanted = unit(np.einsum("ned,edf->nef", plain - stored["centres"][1], stored["matrix"]))
    assert np.allclose(load_engine(out).embed(first, cameras=["c0"]).vectors, wanted, atol=1e-4)
    stored["matrix"] = stored["matrix"][:, 1:]
    save_file({key: np.ascontiguousarray(value) for key, value in stored.items()}, out / CENTRES)
    with pytest.raises(CheckpointError, match="expected a whitening"):
        CameraCentres.load(out / CENTRES, ("c0", "c1"))
    assert sha256(out / CENTRES) not in (out / "model.json").read_text()
