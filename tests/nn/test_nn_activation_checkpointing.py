"""Activation checkpointing changes what is kept in memory, and no value, gradient or running statistic."""

import importlib.util
from contextlib import ExitStack

import pytest
import torch
from torch import nn

from unveil.nn.backbones.activation_checkpointing import checkpoint_activations
from unveil.nn.backbones.backbone import Backbone, Stage
from unveil.nn.backbones.choice import build_backbone
from unveil.recipe import BackboneChoice

needs_timm = pytest.mark.skipif(importlib.util.find_spec("timm") is None, reason="timm is not installed")
NAMES = [
    "resnet18_ibn_a",
    "osnet_ain_x0_25",
    "efficientnet_lite0",
    *(
        pytest.param(name, marks=needs_timm)
        for name in ("timm/efficientnet_b0", "timm/vit_tiny_patch16_224", "vit/w64_d3_p16_s16_64x32_jpm")
    ),
]


class Dropping(Backbone):
    """Two stages, one of which has blocks; what is dropped is another share of the map at every call."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(*(self._block() for _ in range(2)))
        self.second = self._block()
        self.stages = (Stage("first", 3, 1, ("first.0", "first.1")), Stage("second", 3, 1, ()))

    def _block(self):
        return nn.Sequential(nn.Conv2d(3, 3, 3, padding=1), nn.BatchNorm2d(3, momentum=None), nn.Dropout(0.5))

    def forward(self, images, hooks=None):
        return self.run_stages(images, self.check_hooks(hooks))


def addresses(backbone):
    return [address for stage in backbone.stages for address in (*stage.blocks, stage.name)]


def run(backbone, images, backwards=1):
    """Return output, gradients and buffers of a step, and what every hook saw; hooks double the map."""
    seen = []

    def hook(address):
        return lambda x: seen.append((address, x.detach().clone())) or 2 * x

    backbone.train()
    backbone.zero_grad()
    torch.manual_seed(7)
    # One hook a stage, and one between two blocks.
    chosen = {address: hook(address) for address in (addresses(backbone)[0], *(s.name for s in backbone.stages))}
    out = backbone(images, chosen)
    drawn = torch.get_rng_state()
    for left in reversed(range(backwards)):
        out.square().mean().backward(retain_graph=left > 0)
    assert torch.equal(torch.get_rng_state(), drawn)
    gradients = {name: p.grad for name, p in backbone.named_parameters() if p.grad is not None}
    return out.detach(), gradients, {name: b.clone() for name, b in backbone.named_buffers()}, seen


def both(build, images, backwards=1):
    """Return what two steps give without and with checkpointing, from the same weights."""
    found = []
    for checkpointed in (False, True):
        torch.manual_seed(0)
        backbone = build()
        if checkpointed:
            checkpoint_activations(backbone)
        found.append([run(backbone, images, backwards) for _ in range(2)])
    return found


def assert_same(plain, checkpointed):
    for (out, gradients, buffers, seen), (out_2, gradients_2, buffers_2, seen_2) in zip(
        plain, checkpointed, strict=True
    ):
        assert torch.equal(out, out_2)
        assert [address for address, _ in seen] == [address for address, _ in seen_2]
        assert all(torch.equal(x, y) for (_, x), (_, y) in zip(seen, seen_2, strict=True))
        assert all(torch.equal(buffers[name], buffers_2[name]) for name in buffers)
        assert gradients and gradients.keys() == gradients_2.keys()
        for name in gradients:
            torch.testing.assert_close(gradients_2[name], gradients[name], atol=1e-7, rtol=1e-6, msg=name)


@pytest.mark.parametrize("name", NAMES)
def test_values_gradients_statistics_and_hooks_are_those_without(name):
    images = torch.randn(4, 3, 64, 32, generator=torch.Generator().manual_seed(1))
    plain, checkpointed = both(lambda: build_backbone(BackboneChoice(name=name)), images)
    assert_same(plain, checkpointed)
    counts = [value for key, value in checkpointed[1][2].items() if key.endswith("num_batches_tracked")]
    assert all(count == 2 for count in counts) and (counts or name.startswith(("vit/", "timm/vit")))


def test_what_is_dropped_is_dropped_again_and_a_second_way_back_is_the_first():
    images = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    plain, checkpointed = both(Dropping, images, backwards=2)
    assert_same(plain, checkpointed)
    assert (plain[0][0] == 0).float().mean() > 0.3  # something was dropped at all


@pytest.mark.parametrize("name", ["resnet50", pytest.param("timm/vit_tiny_patch16_224", marks=needs_timm)])
def test_half_of_what_is_kept_or_less(name):
    def kept(backbone) -> int:
        storages = {}

        def pack(tensor):
            storages[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor), ExitStack() as stack:
            inputs = []  # which checkpoints hold by themselves
            for block in backbone.checkpointable():
                handle = block.register_forward_pre_hook(lambda _, args: inputs.extend(args))
                stack.callback(handle.remove)
            out = backbone(torch.randn(2, 3, 128, 64))
        own = {p.untyped_storage().data_ptr() for p in backbone.parameters()}
        held = {x.untyped_storage().data_ptr(): x.untyped_storage() for x in inputs} | storages
        assert out.requires_grad
        return sum(storage.nbytes() for place, storage in held.items() if place not in own)

    backbone = build_backbone(BackboneChoice(name=name)).train()
    before = kept(backbone)
    checkpoint_activations(backbone)
    assert kept(backbone) < 0.5 * before


def test_frozen_stages_and_what_needs_no_gradient_are_left_alone():
    backbone = build_backbone(BackboneChoice(name="resnet18", frozen_stages=2))
    keys = set(backbone.state_dict())
    checkpoint_activations(backbone)
    assert set(backbone.state_dict()) == keys
    changed = [name for name, module in backbone.named_modules() if "forward" in vars(module)]
    assert changed == ["layer3.0", "layer3.1", "layer4.0", "layer4.1"]
    with torch.no_grad():
        assert not backbone.eval()(torch.randn(1, 3, 64, 32)).requires_grad
    backbone.requires_grad_(requires_grad=False).train()
    assert not backbone(torch.randn(2, 3, 64, 32)).requires_grad


def test_a_backbone_that_is_one_piece_is_refused():
    class Whole(Backbone):
        stages = (Stage("features", 3, 1, ()),)

    with pytest.raises(ValueError, match="not modules of their own"):
        checkpoint_activations(Whole())
