"""Methods that train on parsing maps, through the ordinary loop, on a world that knows the maps exactly."""

import warnings

import numpy as np
import pytest
import torch

from unveil.data.augment import pipeline
from unveil.data.augment.background import swap_background
from unveil.errors import RecipeError
from unveil.models.parsing_maps import open_training_set
from unveil.parsing.mapping import map_labels
from unveil.recipe import load_recipe
from unveil.training.loop import train
from unveil.world.dataset import read_labels
from unveil.world.labels import table

RECIPES = "src/unveil/recipes"
SMALL = [
    "backbone={name: osnet_x0_25, init: random}",
    "input={height: 64, width: 32}",
    "sampler.persons=2",
    "sampler.images=2",
]
SCHEMES = {"pab": "pab6", "cre": "cre7", "combined": "worn14"}


def recipe(name, source, request, *more):
    path = request.config.rootpath / RECIPES / f"{name}-world.yaml"
    return load_recipe(path, [f"data.train={source}", f"data.test={source}", "train.epochs=1", *SMALL, *more])


@pytest.mark.parametrize(("name", "scheme"), SCHEMES.items())
def test_a_world_gives_its_maps_in_the_label_set_of_the_method(rendered, request, tmp_path, name, scheme):
    data = open_training_set(recipe(name, f"world:{rendered}", request), tmp_path)
    assert data.parsing_scheme == scheme
    store = data.stores[0]
    native = read_labels(rendered, store.samples[0].key)
    exact = table(scheme)[native]
    assert set(np.unique(store.parsing[0])) <= set(np.unique(exact))
    # The world's own table, not a guess from the clothes of lip20, which have no arm under a sleeve.
    guessed = map_labels(table("lip20")[native], "lip20", target=scheme)
    assert scheme == "cre7" or not np.array_equal(exact, guessed)


def test_a_scheme_in_the_recipe_is_left_as_it_is(rendered, request, tmp_path):
    assert (
        open_training_set(recipe("pab", f"world:{rendered}?scheme=lip20", request), tmp_path).parsing_scheme == "lip20"
    )
    assert open_training_set(recipe("bot", f"world:{rendered}", request), tmp_path).parsing_scheme is None


@pytest.mark.parametrize("setting", ["compact_dim", "colour_dim"])
def test_projections_are_no_part_of_a_training(rendered, tmp_path, setting):
    """They are found afterwards; a network that is trained with them would embed by ones that nobody fitted."""
    changes = ["method.name=dual", f"method.{setting}=8", f"data.train=world:{rendered}", *SMALL]
    with pytest.raises(RecipeError, match=rf"{setting}=8 in a training: scripts/ship_weights\.py finds"):
        train(load_recipe(None, changes), tmp_path / "run", cache=tmp_path / "cache")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", SCHEMES)
def test_recipes_with_parsing_maps_train_and_measure_on_a_world(rendered, request, tmp_path, name):
    with warnings.catch_warnings():
        warnings.filterwarnings("error", "crops without parsing maps")  # nothing of a training looks at crops without
        model = train(recipe(name, f"world:{rendered}", request), tmp_path / "run", cache=tmp_path / "cache")
    assert model.card.parsing_scheme == SCHEMES[name]
    assert {tree["protocol"] for tree in model.card.figures} >= {"world-general", "world-cc"}
    assert model.card.persons == 2 and model.card.clothes == 4


def test_a_method_without_maps_has_its_backgrounds_swapped_by_them(rendered, request, tmp_path, monkeypatch):
    changed = []

    def swap(batch, p, *, generator):
        found = swap_background(batch, p, generator=generator)
        changed.append(not torch.equal(found.images, batch.images))
        return found

    monkeypatch.setattr(pipeline, "swap_background", swap)
    changes = ("augment.background=1", "augment.flip=1", "train.eval_every=0")
    train(recipe("bot", f"world:{rendered}", request, *changes), tmp_path / "run", cache=tmp_path / "cache")
    assert changed and all(changed)
