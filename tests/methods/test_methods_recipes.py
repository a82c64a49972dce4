import re
from pathlib import Path

import pytest

from unveil.methods import METHODS, method_class, method_requirements, method_settings
from unveil.models.catalogue.starts import STARTS
from unveil.nn.backbones.choice import BACKBONES
from unveil.recipe import load_recipe

RECIPES = sorted((Path(__file__).parents[2] / "src/unveil/recipes").glob("*.yaml"))


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_every_recipe_is_valid(path):
    recipe = load_recipe(path)
    method_settings(recipe.method.name, recipe.method.settings)
    assert recipe.backbone.name in BACKBONES
    assert recipe.backbone.init or not method_class(recipe.method.name).has_backbone
    if recipe.backbone.init == "imagenet":
        assert recipe.backbone.name in STARTS
    if path.stem.endswith("-world"):
        # Other people to test on than those of the training: two worlds of one seed share theirs.
        assert [str(source) for source in recipe.data.train] == ["world:default?seed=1"]
        assert recipe.backbone.init == "imagenet"
        assert [str(source) for source in recipe.data.test] == ["world:small"]
        assert path.with_name(f"{path.stem.removesuffix('-world')}.yaml") in RECIPES


def test_the_page_of_methods_lists_every_method_with_what_it_trains_on():
    page = (Path(__file__).parents[2] / "docs/methods.md").read_text(encoding="utf-8")
    listed = dict(re.findall(r"^\| (\w+) \|([^|]*)\|(?: [\d.]+ M)? \|", page, re.MULTILINE))
    assert set(listed) == set(METHODS)
    for name, words in listed.items():
        requirements = method_requirements(name, {})
        assert ("clothes labels" in words) == requirements.train_clothes, name
        assert (f"({requirements.train_parsing})" in words) == bool(requirements.train_parsing), name


def test_recipes_of_the_papers_start_from_imagenet():
    for name in ("aim", "bot", "bpbreid", "cal", "cre", "ianet", "oc4", "ocnet", "pab", "pcb", "sbs", "ssgr"):
        assert load_recipe(RECIPES[0].with_name(f"{name}.yaml")).backbone.init == "imagenet"


def test_recipes_carry_the_papers_numbers():
    ssgr, pab, ocnet = (load_recipe(RECIPES[0].with_name(f"{name}.yaml")) for name in ("ssgr", "pab", "ocnet"))
    assert ssgr.sampler.persons * ssgr.sampler.images == 64
    assert ssgr.augment.erase == "none"  # the method erases
    assert (pab.sampler.persons, pab.sampler.images, pab.augment.flip, pab.schedule.warmup_from) == (8, 4, 0, 0.1)
    assert (ocnet.train.epochs, ocnet.schedule.milestones) == (120, (40, 70))
