"""Every setting that is a number or a switch changes something; those of the test alone change nothing in training."""

import dataclasses

import pytest
import torch

from unveil.errors import RecipeError
from unveil.label_sets import get_scheme
from unveil.methods import METHODS, build_method, method_class, method_settings, training_settings
from unveil.methods.method import LabelSpace, Step
from unveil.nn.backbones.choice import build_backbone
from unveil.recipe import BackboneChoice
from unveil.records import Batch

OUTFITS = (0, 0, 1, 1, 2, 2, 3, 3)  # two outfits a person
SPACE = LabelSpace(4, len(OUTFITS), OUTFITS)
# Small, and with everything switched on that a setting may be about.
BASES = {
    "combined": {
        "clothes_loss": True, "parts": True, "focuser": True, "screening": True, "centre": True, "compound": True,
        "mean_feature": True, "dim": 8, "hidden": 8, "mu": 0.3,
    },
    "dual": {"identity_dim": 8, "part_dim": 8, "hidden": 8, "mu": 0.3},
    "pab": {"dim": 8, "hidden": 8, "w_tri_global": 0.5, "w_tri_foreground": 0.5, "w_tri_concat": 0.5, "mu": 0.3},
    "ocnet": {"dim": 8},
    "bpbreid": {"dim": 8, "w_tri_foreground": 0.5},
}  # fmt: skip
# Without these a setting cannot be changed, or nothing looks at it.
BESIDE = {
    ("aim", "clothes_loss"): {"w_divergence": 0.0},
    ("dual", "colour_share"): {"colour_dim": 1},
    ("oc4", "t2mgs"): {"part_loss": "none"},
    ("ocnet", "concat"): {"relation": "none", "gamma": 0.0},
    ("ssgr", "nl_inter"): {"dnl": False},
    ("ssgr", "margin"): {"bed": False},
    ("ssgr", "circle_scale"): {"heads": 1},
    ("ssgr", "circle_margin"): {"heads": 1},
}
# Twice, or one and a half times as much is out of range or makes no difference.
OTHER = {"center_w": 1, "beta": 0.5, "mu": 0.9, "stripe_p": 0.0}


def outcome(name, settings):
    """What training sees of a method, and what the test sees."""
    torch.manual_seed(0)
    method = build_method(name, settings, backbone=build_backbone(BackboneChoice(name="resnet18_x0_5")), space=SPACE)
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in method.parameters():  # nothing begins at zero, where much has no effect yet
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=generator))
    images = torch.randint(256, (8, 3, 64, 32), generator=generator, dtype=torch.uint8)
    labels = len(get_scheme(method.requirements.train_parsing or "pab6").labels)
    maps = torch.randint(labels, (8, 8, 4), generator=generator).repeat_interleave(8, 1).repeat_interleave(8, 2)
    clothes = torch.arange(8)
    batch = Batch(images, torch.tensor(OUTFITS)[clothes], clothes=clothes, parsing=maps.to(torch.uint8))
    torch.manual_seed(1)
    batch = method.expand_batch(batch)
    batch = method.erase(batch.replace(images=batch.images.float() / 64 - 2))
    terms = method(batch, Step(epoch=25))
    training = {name: parameter.shape for name, parameter in method.named_parameters()}
    training |= {name: term.item() for name, term in terms.items()}
    with torch.no_grad():
        found = method.eval().embed(batch)
    return training, (found.names, found.weights, found.vectors.tolist(), found.visibility.tolist())


def other(setting, value):
    if setting in OTHER:
        return OTHER[setting]
    if isinstance(value, bool):
        return not value
    return 2 * value or 1 if isinstance(value, int) else 1.5 * value + 0.05


def settings_of(name):
    for field in dataclasses.fields(method_class(name).Settings):
        value = BASES.get(name, {}).get(field.name, field.default)
        if isinstance(value, bool | int | float):
            yield field.name, value


@pytest.mark.parametrize("name", METHODS)
def test_every_setting_counts(name):
    base = BASES.get(name, {})
    before = outcome(name, base)
    assert before == outcome(name, base)
    for setting, value in settings_of(name):
        beside = BESIDE.get((name, setting), {})
        old = outcome(name, base | beside) if beside else before
        training, test = outcome(name, base | beside | {setting: other(setting, value)})
        if setting in training_settings(name, base):
            assert (training, test) != old, setting
        else:
            assert training == old[0], setting
            assert test != old[1], setting


@pytest.mark.parametrize(
    ("name", "setting"),
    [("ssgr", "stripe_p"), ("ssgr", "box_p"), ("dual", "recoloured"), ("bot", "smoothing"), ("aim", "clothes_epsilon")],
)
def test_a_share_is_from_nothing_to_all(name, setting):
    for value in (-0.1, 1.1):
        with pytest.raises(RecipeError, match=rf"method {name}: {setting}: .* found {value}"):
            method_settings(name, {setting: value})
    for value in (0, 1):
        assert getattr(method_settings(name, {setting: value}), setting) == value
