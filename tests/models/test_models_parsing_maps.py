"""What a method sees of parsing maps: where some crops have none, in other label sets, and as crops without clothes."""

import dataclasses

import numpy as np
import pytest
import torch
from PIL import Image

from untrained import make_model
from unveil.data.images import read_image, read_labels, resize
from unveil.data.readers.manifest import write_manifest
from unveil.data.store.image_store import open_store
from unveil.data.training import TrainingSet
from unveil.errors import DataError
from unveil.methods import method_requirements
from unveil.methods.method import Requirements
from unveil.models import parsing_maps, translated_maps
from unveil.models.checkpoint import load_model
from unveil.models.embed import embed_samples
from unveil.models.parsing_maps import open_training_set, training_set_for
from unveil.models.translated_maps import store_in, tables_hash
from unveil.nn.clothes_erasure import append_without_clothes
from unveil.parsing import mapping
from unveil.recipe import InputSettings, load_recipe
from unveil.records import UNLABELLED, Dataset, Sample
from unveil.world.labels import table as world_table


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
        return embed_samples(model, crops, cache=tmp_path / "store", scheme="atr18")[0].vectors

    expected = vectors([dataclasses.replace(samples[0], parsing=body), *samples[1:]])
    assert (vectors(missing) == expected).all()
    without = vectors([dataclasses.replace(sample, parsing=None) for sample in samples])
    assert (np.abs(without - expected).max(axis=(1, 2)) > 1e-3)[1:].all()
    assert (without[0] == expected[0]).all()


def test_a_translation_leaves_unlabelled_crops_unlabelled(tmp_path, samples):
    missing = [dataclasses.replace(samples[0], parsing=None), *samples[1:]]
    size = InputSettings(height=64, width=32)
    assert open_store(missing, size, cache=tmp_path / "store").parsing is None
    store = open_store(missing, size, cache=tmp_path / "store", maps="any")
    mapped = store_in(store, "atr18", target="cre7")
    assert (mapped.parsing[0] == UNLABELLED).all() and mapped.parsing[1:].max() < 7
    assert open_store(missing, size, cache=tmp_path / "store").parsing is None  # training keeps all or none


RED, SKIN = (200, 20, 30), (90, 150, 120)


def dressed(root, native, scheme="cre7", label=2):
    """Two people in red shirts, with maps; edges of the shirt lie between the pixels of the resized crop."""
    height, width = native
    found = []
    for i in range(4):
        image, labels = np.full((height, width, 3), SKIN, np.uint8), np.zeros((height, width), np.uint8)
        shirt = (slice(height // 5 + i, height * 3 // 5), slice(width // 7 + i, width * 2 // 3))
        image[shirt], labels[shirt] = RED, label
        path, parsing = root / f"{i}.png", root / f"{i}_labels.png"
        Image.fromarray(image).save(path)
        Image.fromarray(labels).save(parsing)
        found.append(Sample(path.name, path, person=str(i // 2), clothes=str(i), parsing=parsing, split="train"))
    return Dataset("dressed", tuple(found), parsing_scheme=scheme)


@pytest.mark.parametrize("native", [(300, 140), (128, 64), (64, 32), (401, 177)])
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize(("scheme", "label", "target"), [("cre7", 2, "cre7"), ("atr18", 4, "worn14")])
def test_erasure_leaves_no_rim_in_the_colours_of_the_clothes(tmp_path, native, interpolation, scheme, label, target):
    size = InputSettings(height=128, width=64, interpolation=interpolation)
    dataset = dressed(tmp_path, native, scheme, label)
    requirements = Requirements(train_parsing=target, train_erased=True)
    data = training_set_for(TrainingSet.open([dataset], size, cache=tmp_path / "store"), requirements, size=size)
    batch = data.batch(range(4))
    for row, sample in enumerate(dataset.samples):
        image, labels = read_image(sample.path).copy(), read_labels(sample.parsing)
        image[labels == label] = 0  # eq. 1 on the crop as it is, then the resizing
        expected = resize(image, 128, 64, interpolation=interpolation)
        assert (batch.erased[row].permute(1, 2, 0).numpy() == expected).all()
    bare = append_without_clothes(batch, batch.parsing)
    copies = bare.images[4:].int()
    assert bare.erased is None and not (copies[:, 0] > copies[:, 1]).any()  # skin has more green than red


def test_erased_crops_are_made_once(tmp_path, monkeypatch):
    size, cache = InputSettings(height=64, width=32), tmp_path / "store"
    dataset, requirements = dressed(tmp_path, (128, 64)), method_requirements("cre", {})
    first = (
        training_set_for(TrainingSet.open([dataset], size, cache=cache), requirements, size=size).batch(range(4)).erased
    )
    monkeypatch.setattr(parsing_maps, "_erase", None)
    again = (
        training_set_for(TrainingSet.open([dataset], size, cache=cache), requirements, size=size).batch(range(4)).erased
    )
    assert torch.equal(first, again)
    without = method_requirements("cre", {"cre": False})
    assert (
        training_set_for(TrainingSet.open([dataset], size, cache=cache), without, size=size).batch(range(4)).erased
        is None
    )


def test_a_corrected_table_makes_maps_and_erased_crops_anew(tmp_path, monkeypatch, request):
    # The world's tables are kept, and that of cre7 follows the one that is corrected here.
    request.addfinalizer(world_table.cache_clear)
    size, cache = InputSettings(height=64, width=32), tmp_path / "store"
    dataset = dressed(tmp_path, (128, 64), "atr18", 4)
    requirements = Requirements(train_parsing="cre7", train_erased=True)

    def batch():
        data = training_set_for(TrainingSet.open([dataset], size, cache=cache), requirements, size=size)
        return data.batch(range(4))

    before = batch()
    table = list(mapping.CONVERSIONS["atr18", "cre7"].table)
    table[4] = 1  # upper clothes are told to be a head, which is not erased
    monkeypatch.setitem(mapping.CONVERSIONS, ("atr18", "cre7"), mapping.Conversion(tuple(table)))
    after = batch()
    assert before.parsing.max() == 2 and after.parsing.max() == 1
    assert torch.equal(after.erased, after.images) and not torch.equal(before.erased, before.images)
    known = [tables_hash("world", target=target) for target in ("cre7", "cre7", "pab6")]
    monkeypatch.setattr(translated_maps, "world_table", lambda scheme: np.zeros(256, np.uint8))
    assert known[0] == known[1] != known[2] and tables_hash("world", target="cre7") not in known


def test_a_rim_of_a_recoloured_garment_has_its_new_colour_too(tmp_path):
    size = InputSettings(height=128, width=64)
    opened = TrainingSet.open([dressed(tmp_path, (300, 140))], size, cache=tmp_path / "store")
    data = training_set_for(opened, method_requirements("cre", {}), size=size)
    batch = data.batch(range(4))
    torch.manual_seed(3)
    painted = append_without_clothes(batch, (batch.parsing == 2).to(torch.uint8), recoloured=1.0).images[4:].int()
    touched = (batch.erased != batch.images).any(dim=1)
    for crop in range(4):
        inner = painted[crop][:, 60, 25]
        rim = painted[crop][:, touched[crop] & (batch.parsing[crop] != 2)]
        assert rim.shape[1] > 20
        # What is left of the red shirt would make the rim redder than both skin and the new colour.
        redness = (rim[0] - rim[1]).max()
        assert redness <= max(int(inner[0] - inner[1]), SKIN[0] - SKIN[1]) + 40


def test_maps_of_another_size_or_label_set_are_refused_by_name(tmp_path):
    size = InputSettings(height=64, width=32)
    dataset = dressed(tmp_path, (128, 64))
    Image.new("L", (32, 64)).save(dataset.samples[2].parsing)
    with pytest.raises(DataError, match=r"2_labels.png: expected a parsing map of the size .* 64x128 .* found 32x64"):
        TrainingSet.open([dataset], size, cache=tmp_path / "store")
    Image.new("L", (64, 128), 14).save(dataset.samples[2].parsing)
    data = TrainingSet.open([dataset], size, cache=tmp_path / "store")
    with pytest.raises(DataError, match=r"2_labels.png: expected labels 0..6 of cre7, found 14"):
        training_set_for(data, method_requirements("cre", {}), size=size)


def test_what_looks_at_no_maps_reads_none_and_loses_no_crop_to_a_damaged_one(tmp_path):
    dataset = dressed(tmp_path, (128, 64))
    dataset.samples[1].parsing.write_bytes(b"no map")
    Image.new("L", (3, 3)).save(dataset.samples[2].parsing)
    plain = load_model(make_model(tmp_path, height=64, width=32))
    _, store = embed_samples(plain, dataset.samples, cache=tmp_path / "store", scheme="cre7")
    assert len(store) == 4 and not store.bad
    write_manifest(dataset, tmp_path / "all.csv")
    data = [f"data.train=manifest:{tmp_path / 'all.csv'}", "input={height: 64, width: 32}"]
    assert len(open_training_set(load_recipe(None, [*data, "method.name=bot"]), tmp_path / "store")) == 4
    with pytest.raises(DataError, match=r"2_labels.png: expected a parsing map of the size"):
        open_training_set(load_recipe(None, [*data, "method.name=cre"]), tmp_path / "store")
