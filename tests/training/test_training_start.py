"""What a run starts from, and what of it stays frozen."""

import pytest
import torch
from safetensors.torch import load_file, save_file
from small_runs import recipe

from unveil.errors import (
    CheckpointError,
    RecipeError,
)
from unveil.models.checkpoint import load_model
from unveil.nn.backbones.choice import build_backbone
from unveil.nn.backbones.osnet import OSNet
from unveil.nn.backbones.resnet import ResNet
from unveil.recipe import BackboneChoice
from unveil.training.loop import train
from unveil.training.optimisers import set_frozen


@pytest.mark.parametrize("method", ["bot", "sbs"])
def test_a_frozen_backbone_keeps_its_statistics_and_its_non_local_blocks(manifest, tmp_path, method):
    states = {}
    begin = tmp_path / "begin.safetensors"
    save_file(ResNet(18, width=0.5).state_dict(), begin)
    for frozen, epochs in ((1000, 1), (1000, 2), (1, 2)):
        out = tmp_path / f"{frozen}-{epochs}"
        changes = (
            f"method.name={method}",
            "backbone.name=resnet18_x0_5",
            f"backbone.init={begin}",
            "schedule.kind=constant",
        )
        train(recipe(manifest, *changes, f"optim.freeze_iterations={frozen}", f"train.epochs={epochs}"), out)
        states[frozen, epochs] = load_file(out / "model.safetensors")
    once, twice, released = states.values()
    inside = [key for key in once if key.startswith(("backbone.", "attention."))]
    assert any("running_mean" in key for key in inside)
    assert any(key.startswith("attention.") for key in inside) == (method == "sbs")
    changed = [key for key in once if not torch.equal(once[key], twice[key])]
    assert changed and not set(changed) & set(inside)
    still = [key for key in inside if torch.equal(once[key], released[key])]
    assert still == []  # released, everything trains


@pytest.mark.parametrize("setting", ["optim.freeze_iterations=10", "backbone.frozen_stages=1"])
def test_freezing_a_random_backbone_is_refused(manifest, tmp_path, setting):
    with pytest.raises(RecipeError, match="random weights"):
        train(recipe(manifest, setting), tmp_path / "run")
    assert not (tmp_path / "run" / "model.safetensors").exists()


def test_a_run_says_what_it_starts_from(manifest, tmp_path, four):
    with pytest.raises(RecipeError, match=r"backbone\.init"):
        train(recipe(manifest, "backbone.init=null"), tmp_path / "run")
    card = load_model(four).card
    assert card.start is not None and card.start.kind == "random"
    assert card.started_from == load_model(four).summary.start == "random weights"


def test_a_resumed_run_needs_its_start_no_more(manifest, tmp_path):
    begin = tmp_path / "begin.safetensors"
    save_file(OSNet(0.25).state_dict(), begin)
    train(recipe(manifest, f"backbone.init={begin}", "train.epochs=1"), tmp_path / "run")
    begin.unlink()
    train(recipe(manifest, f"backbone.init={begin}", "train.epochs=2"), tmp_path / "run", resume=True)
    start = load_model(tmp_path / "run").card.start
    assert (start.kind, start.name, start.licence) == ("file", "begin.safetensors", "unstated")
    (tmp_path / "run/start.json").write_text("{")
    with pytest.raises(CheckpointError, match=r"start\.json is damaged"):
        train(recipe(manifest, f"backbone.init={begin}", "train.epochs=3"), tmp_path / "run", resume=True)


def test_a_method_without_a_network_starts_from_nothing(manifest, tmp_path):
    plain = ["method.name=histogram", "backbone.init=null", "train.epochs=1", "augment.erase=none"]
    card = train(recipe(manifest, *plain), tmp_path / "run").card
    assert card.started_from == "no network"


def test_stages_frozen_for_good_stay_so_when_the_backbone_is_released():
    backbone = build_backbone(BackboneChoice(name="resnet18", frozen_stages=1))
    for frozen in (True, False):
        set_frozen([backbone], frozen=frozen)
        assert not backbone.layer1[0].conv1.weight.requires_grad and not backbone.layer1[0].bn1.training
        assert backbone.layer2[0].conv1.weight.requires_grad != frozen
