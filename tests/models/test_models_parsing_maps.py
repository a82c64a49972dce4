"""Parsing maps at test: what a method sees where some crops have a map and others have none."""

import dataclasses

import numpy as np
import pytest
import torch
from PIL import Image

from unveil.data.store import open_store
from unveil.models.checkpoint import load_model
from unveil.models.embed import embed_samples
from unveil.models.parsing_maps import store_in
from unveil.recipe import InputSettings
from unveil.records import UNLABELLED, Sample
from untrained import make_model


@pytest.fixture
def samples(tmp_path):
    rng = np.random.default_rng(0)
    found = []
    for i in range(4):
        path, parsing = tmp_path / f"{i}.png", tmp_path / f"{i}_labels.png"
        Image.fromarray(rng.integers(0, 256, (64, 32, 3), dtype=np.uint8)).save(path)
        Image.fromarray(np.repeat(rng.integers(0, 18, (8, 32), dtype=np.uint8), 8, 0)).save(parsing)
        found.append(Sample(path.name, path, parsing=parsing))
    return found


@pytest.mark.filterwarnings("ignore:crops without parsing maps")
def test_a_crop_without_a_map_does_not_switch_off_the_maps_of_the_others(tmp_path, samples):
    model = load_model(make_model(tmp_path / "cre", "cre", height=64, width=32))
    for parameter in model.method.attention.parameters():
        torch.nn.init.normal_(parameter)
    missing = [dataclasses.replace(samples[0], parsing=None), *samples[1:]]
    body = tmp_path / "body.png"
    Image.new("L", (32, 64), 1).save(body)

    def vectors(crops):
        return embed_samples(model, crops, tmp_path / "store", "atr18")[0].vectors

    expected = vectors([dataclasses.replace(samples[0], parsing=body), *samples[1:]])
    assert (vectors(missing) == expected).all()
    without = vectors([dataclasses.replace(sample, parsing=None) for sample in samples])
    assert (np.abs(without - expected).max(axis=(1, 2)) > 1e-3)[1:].all()
    assert (without[0] == expected[0]).all()


def test_a_translation_leaves_unlabelled_crops_unlabelled(tmp_path, samples):
    missing = [dataclasses.replace(samples[0], parsing=None), *samples[1:]]
    size = InputSettings(height=64, width=32)
    assert open_store(missing, size, tmp_path / "store").parsing is None
    store = open_store(missing, size, tmp_path / "store", partial_maps=True)
    mapped = store_in(store, "atr18", "cre7")
    assert (mapped.parsing[0] == UNLABELLED).all() and mapped.parsing[1:].max() < 7
    assert open_store(missing, size, tmp_path / "store").parsing is None  # training keeps all or none
