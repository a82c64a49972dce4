"""Frozen stages run by OpenVINO."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import save_file

from unveil.errors import InterruptedRunError, RecipeError
from unveil.methods import build_method
from unveil.methods.method import LabelSpace
from unveil.nn.backbones.efficientnet_lite import EfficientNetLite
from unveil.nn.backbones.resnet import ResNet
from unveil.recipe import load_recipe
from unveil.training.frozen_prefix import compile_frozen, use_frozen_engine
from unveil.training.loop import train


@pytest.fixture(scope="module")
def network() -> EfficientNetLite:
    torch.manual_seed(0)
    network = EfficientNetLite(0, last_stride=2)
    network.freeze_stages(3)
    return network


def test_the_map_is_pytorchs_at_every_size_and_training_goes_on_behind_it(network):
    run = compile_frozen(network)
    network.eval()
    generator = torch.Generator().manual_seed(1)
    for shape in ((2, 3, 256, 128), (3, 3, 192, 96), (1, 3, 64, 32)):
        images = torch.randn(shape, generator=generator)
        with torch.inference_mode():
            expected = network.run_frozen(images)
        torch.testing.assert_close(run(images), expected, atol=1e-4, rtol=1e-4)
    images = torch.randn(4, 3, 64, 32, generator=generator)
    seen = {}
    hooks = {"blocks.2": lambda x: seen.setdefault("map", x)}
    slow = network(images, hooks)
    kept = seen.pop("map")
    network.frozen_engine = run
    try:
        fast = network(images, hooks)
        network.train()  # not compared: batch norms over maps of two pixels make much of the last digits
        trained = network(images)
    finally:
        network.frozen_engine = None
    torch.testing.assert_close(seen["map"], kept, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(fast, slow, atol=1e-3, rtol=1e-3)
    trained.sum().backward()
    assert network.blocks[3][0].conv_pw.weight.grad is not None
    assert network.blocks[2][0].conv_pw.weight.grad is None


def test_nothing_frozen_is_refused():
    with pytest.raises(RecipeError, match="frozen_stages"):
        compile_frozen(EfficientNetLite(0))


def test_a_network_that_cannot_run_its_stages_apart_is_refused_before_it_is_traced():
    network = ResNet(18)
    network.freeze_stages(2)
    with pytest.raises(RecipeError, match=r"ResNet does not run .* apart; set train\.frozen_engine=pytorch"):
        compile_frozen(network)
    histogram = build_method("histogram", {}, backbone=network, space=LabelSpace(2))
    with pytest.raises(RecipeError, match="Histogram has no backbone"):
        use_frozen_engine(histogram)


def test_elsewhere_than_on_the_cpu_pytorch_runs_the_frozen_stages_and_the_log_says_so(caplog):
    """The recipe of the package's network is for processors and trains on a GPU as it is."""
    with torch.device("meta"):
        network = EfficientNetLite(0)
        network.freeze_stages(2)
        method = build_method("bot", {}, backbone=network, space=LabelSpace(2))
    with caplog.at_level("INFO", "unveil"):
        use_frozen_engine(method)
    assert network.frozen_engine is None
    assert "PyTorch runs the frozen stages on meta" in caplog.text


def test_a_resumed_run_freezes_what_it_started_from_and_not_what_it_was_built_with(manifest, tmp_path):
    torch.manual_seed(3)
    weights = tmp_path / "start.safetensors"
    save_file(EfficientNetLite(0).state_dict(), weights)
    changes = [
        "method.name=bot", "backbone.name=efficientnet_lite0", "backbone.frozen_stages=3", f"backbone.init={weights}",
        "input.height=64", "input.width=32", f"data.train=manifest:{manifest}", "sampler.persons=3", "sampler.images=2",
        "train.epochs=2", "train.frozen_engine=openvino",
    ]  # fmt: skip
    recipe = load_recipe(None, changes)
    whole = train(recipe, tmp_path / "whole", cache=tmp_path / "cache")
    with pytest.raises(InterruptedRunError):
        train(recipe, tmp_path / "cut", cache=tmp_path / "cache", minutes=0)
    # What is not frozen may be recomputed from now on.
    recomputing = load_recipe(None, [*changes, "train.activation_checkpointing=true"])
    resumed = train(recomputing, tmp_path / "cut", resume=True, cache=tmp_path / "cache")
    assert resumed.card.fingerprint == whole.card.fingerprint
