"""Statistics of cameras: what is measured, where it is kept, and that a crop is embedded by those of its camera."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from tracked import write_tracklets

from untrained import make_model
from unveil.adaptation.crops import UnlabelledCrops
from unveil.adaptation.stages.statistics import take_statistics
from unveil.datasets.sources import crops_of
from unveil.errors import CheckpointError
from unveil.models.camera_statistics import KEYS, batch_norms, read_statistics
from unveil.models.card import Adaptation, Source
from unveil.models.checkpoint import load_model, save_model
from unveil.models.embed import embed_samples


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return crops_of(str(write_tracklets(tmp_path_factory.mktemp("crops"))))


@pytest.fixture
def model(tmp_path):
    return load_model(make_model(tmp_path, height=64, width=32))


@pytest.fixture
def crops(dataset, model, tmp_path):
    return UnlabelledCrops.open([dataset], model.crop_size, per_tracklet=8, cache=tmp_path / "cache")


def test_the_first_batch_norm_gets_mean_and_variance_of_what_it_sees(model, crops):
    first, seen = batch_norms(model.method)[0], []
    handle = first.register_forward_pre_hook(lambda module, args: seen.append(args[0].detach()))
    take_statistics(model.method, crops, size=model.input, prior=0, share=1, seed=0)
    handle.remove()
    own = torch.cat(seen[:2])  # 112 crops are two batches
    assert len(own) == len(crops)
    torch.testing.assert_close(first.running_mean, own.mean((0, 2, 3)), rtol=1e-4, atol=1e-5)
    parts = torch.stack([part.var((0, 2, 3)) for part in seen[:2]]).mean(0)
    torch.testing.assert_close(first.running_var, parts, rtol=1e-4, atol=1e-5)


def test_a_method_keeps_its_mode_and_its_weights(model, crops):
    model.method.train()
    momentum = [norm.momentum for norm in batch_norms(model.method)]
    weights = {name: p.clone() for name, p in model.method.named_parameters()}
    take_statistics(model.method, crops, size=model.input, prior=0, share=1, seed=0)
    assert all(
        norm.training and norm.momentum == m for norm, m in zip(batch_norms(model.method), momentum, strict=True)
    )
    assert all(torch.equal(weights[name], p) for name, p in model.method.named_parameters())


def test_a_camera_with_few_crops_leans_on_the_others(model, dataset, tmp_path):
    few = (
        tuple(s for s in dataset.samples if s.camera == "c0")
        + tuple(dataclasses.replace(s, camera="rare") for s in dataset.samples if s.camera == "c1")[:5]
    )
    crops = UnlabelledCrops.open(
        [dataclasses.replace(dataset, samples=few)], model.crop_size, per_tracklet=8, cache=tmp_path / "cache"
    )
    statistics = take_statistics(model.method, crops, size=model.input, prior=50, share=1, seed=0)
    assert statistics.cameras == ("c0", "rare")
    torch.testing.assert_close(statistics.mean[1], read_statistics(model.method)[0])
    assert not torch.allclose(statistics.mean[0], statistics.mean[1])


def test_crops_without_cameras_have_statistics_together(model, dataset, tmp_path):
    bare = dataclasses.replace(dataset, samples=tuple(dataclasses.replace(s, camera=None) for s in dataset.samples))
    crops = UnlabelledCrops.open([bare], model.crop_size, per_tracklet=8, cache=tmp_path / "cache")
    before = read_statistics(model.method)[0]
    statistics = take_statistics(model.method, crops, size=model.input, prior=50, share=1, seed=0)
    assert statistics.cameras == () and not torch.allclose(before, read_statistics(model.method)[0])


def saved(model, crops, folder):
    statistics = take_statistics(model.method, crops, size=model.input, prior=0, share=1, seed=0)
    adaptation = Adaptation(
        base="0" * 16, data=(Source(name="x", hash="0", images=1, persons=0),), cameras=statistics.cameras,
        stages=("statistics",),
    )  # fmt: skip
    save_model(
        folder / "model.safetensors",
        model.method,
        card=model.card.model_copy(update={"adaptation": adaptation}),
        statistics=statistics,
    )
    return folder / "model.safetensors"


def test_a_crop_is_embedded_with_the_statistics_of_its_camera(model, crops, dataset, tmp_path):
    adapted = load_model(saved(model, crops, tmp_path / "adapted"))
    assert adapted.cameras == ("c0", "c1")
    found, store = embed_samples(adapted, dataset.samples, cache=tmp_path / "cache")
    for camera in (*adapted.cameras, "another"):
        row = next((i for i, s in enumerate(store.samples) if s.camera == camera), 0)
        with adapted.of_camera(camera):
            alone = adapted.embed_crops(np.array(store.images[row : row + 1]))
        apart = np.linalg.norm(alone.vectors[0] - found.vectors[row]) / np.linalg.norm(found.vectors[row])
        assert (apart < 1e-3) == (camera != "another")


def test_the_statistics_of_all_come_back_after_a_camera(model, crops, tmp_path):
    adapted = load_model(saved(model, crops, tmp_path / "adapted"))
    before = read_statistics(adapted.method)
    with adapted.of_camera("c0"):
        assert not torch.equal(before[0], read_statistics(adapted.method)[0])
    assert all(torch.equal(a, b) for a, b in zip(before, read_statistics(adapted.method), strict=True))


def test_statistics_that_do_not_fit_the_card_are_refused(model, crops, tmp_path):
    statistics = take_statistics(model.method, crops, size=model.input, prior=0, share=1, seed=0)
    short = dataclasses.replace(statistics, mean=statistics.mean[:1])
    adaptation = Adaptation(base="0" * 16, data=(), cameras=statistics.cameras, stages=("statistics",))
    path = tmp_path / "short" / "model.safetensors"
    save_model(path, model.method, card=model.card.model_copy(update={"adaptation": adaptation}), statistics=short)
    with pytest.raises(CheckpointError, match=f"{KEYS[0]} is \\(1, "):
        load_model(path)


@pytest.mark.parametrize("given", [False, True])
def test_what_a_network_was_trained_with_keeps_its_share(model, crops, given):
    before = tuple(tensor.clone() for tensor in read_statistics(model.method))
    pure = take_statistics(model.method, crops, size=model.input, prior=0, share=1, seed=0)
    together = read_statistics(model.method)
    if not given:  # back to its own
        model = load_model(make_model(crops.store.path.parent / "again", height=64, width=32))
    mixed = take_statistics(
        model.method, crops, size=model.input, prior=0, share=0.25, seed=0, before=before if given else None
    )
    torch.testing.assert_close(read_statistics(model.method)[0], before[0].lerp(together[0], 0.25))
    torch.testing.assert_close(mixed.variance, before[1].lerp(pure.variance, 0.25))
