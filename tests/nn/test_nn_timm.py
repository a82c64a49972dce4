"""timm is an optional dependency: what needs it is skipped where it does not import."""

import builtins
import importlib.util
import subprocess
import sys

import pytest
import torch

from unveil.errors import CheckpointError, MissingExtraError, RecipeError
from unveil.nn.backbones import timm_backbone
from unveil.nn.backbones.choice import build_backbone
from unveil.nn.backbones.timm_backbone import TimmBackbone
from unveil.nn.backbones.torchvision_guard import guard_torchvision
from unveil.recipe import BackboneChoice

needs_timm = pytest.mark.skipif(importlib.util.find_spec("timm") is None, reason="timm is not installed")
NAMES = ("resnet18", "vit_tiny_patch16_224", "swin_tiny_patch4_window7_224", "efficientnet_b0")


@pytest.fixture(scope="module")
def backbones():
    return {name: build_backbone(BackboneChoice(name=f"timm/{name}")).eval() for name in NAMES}


@needs_timm
@pytest.mark.parametrize("name", NAMES)
def test_map_stages_and_taps(backbones, name):
    backbone = backbones[name]
    images = torch.randn(2, 3, 128, 64)
    seen = {}
    hooks = {stage.name: lambda x, name=stage.name: seen.setdefault(name, x) for stage in backbone.stages}
    with torch.no_grad():
        out = backbone(images, hooks)
        torch.testing.assert_close(out, backbone(images))  # a hook that changes nothing, and hooks that are gone
        changed = backbone(images, {backbone.stages[-2].name: lambda x: -x})
    assert out.shape == (2, backbone.channels, 128 // backbone.stages[-1].stride, 64 // backbone.stages[-1].stride)
    assert not torch.allclose(out, changed)
    for stage in backbone.stages:
        assert seen[stage.name].shape == (2, stage.channels, 128 // stage.stride, 64 // stage.stride)


@needs_timm
def test_tokens_become_a_map_row_by_row(backbones):
    backbone = backbones["vit_tiny_patch16_224"]
    tokens = torch.arange(1 + 8 * 4).float()[None, :, None].expand(1, -1, 5)  # one class token before 8 x 4 patches
    x, restore = backbone._as_map(tokens, torch.zeros(1, 3, 128, 64))
    assert x.shape == (1, 5, 8, 4) and x[0, 0, 0].tolist() == [1, 2, 3, 4] and x[0, 0, 7, 3] == 32
    assert torch.equal(restore(x), tokens)


@needs_timm
def test_the_resnet_of_timm_is_ours(backbones, tmp_path):
    torch.save(backbones["resnet18"].model.state_dict(), tmp_path / "w.pth")
    ours = build_backbone(BackboneChoice(name="resnet18", last_stride=2), weights=tmp_path / "w.pth").eval()
    theirs = build_backbone(BackboneChoice(name="timm/resnet18", last_stride=2), weights=tmp_path / "w.pth").eval()
    images = torch.randn(2, 3, 64, 32)
    with torch.no_grad():
        torch.testing.assert_close(theirs(images), ours(images), atol=1e-4, rtol=1e-4)
    assert [s.channels for s in theirs.stages] == [s.channels for s in ours.stages]
    assert [s.blocks for s in theirs.stages] == [s.blocks for s in ours.stages]


@needs_timm
def test_weights_of_another_layout_are_converted_by_timm_and_those_of_another_model_are_refused(tmp_path):
    guard_torchvision()  # the first of its worker to import timm, as it may be
    import timm

    torch.manual_seed(3)
    larger = timm.create_model("vit_tiny_patch16_224", img_size=384)
    torch.save(larger.state_dict(), tmp_path / "w.pth")
    backbone = TimmBackbone("vit_tiny_patch16_224", weights=tmp_path / "w.pth")
    assert torch.equal(backbone.model.blocks[3].attn.qkv.weight, larger.blocks[3].attn.qkv.weight)
    assert backbone.model.pos_embed.shape[1] == 1 + 14 * 14 and larger.pos_embed.shape[1] == 1 + 24 * 24
    shallow = {k: v for k, v in larger.state_dict().items() if not k.startswith("blocks.11.")}
    torch.save(shallow, tmp_path / "shallow.pth")
    torch.save(timm.create_model("resnet18").state_dict(), tmp_path / "resnet.pth")
    for name in ("shallow", "resnet"):
        with pytest.raises(CheckpointError, match=rf"{name}\.pth do not fit VisionTransformer: missing"):
            TimmBackbone("vit_tiny_patch16_224", weights=tmp_path / f"{name}.pth")


@needs_timm
def test_patches_that_do_not_divide_the_image():
    backbone = TimmBackbone("vit_small_patch14_dinov2").eval()
    with torch.no_grad():
        assert backbone(torch.randn(1, 3, 64, 32)).shape == (1, 384, 5, 3)
    assert backbone.stages[-1].stride == 14


@needs_timm
def test_unknown_and_unsuitable_models_are_named():
    with pytest.raises(RecipeError, match="did you mean 'resnet50'"):
        TimmBackbone("resnet5o")
    with pytest.raises(RecipeError, match="mixer_s32_224 cannot be a backbone"):
        TimmBackbone("mixer_s32_224")


def test_without_timm_the_extra_is_named(monkeypatch):
    real = builtins.__import__

    def no_timm(name, *args, **kwargs):
        if name == "timm":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", no_timm)
    with pytest.raises(MissingExtraError, match=r"unveil\[timm\]"):
        build_backbone(BackboneChoice(name="timm/resnet18"))


@pytest.mark.parametrize(
    ("image", "count", "grid"), [((256, 128), 128, (16, 8)), ((128, 64), 45, (9, 5)), ((224, 224), 49, (7, 7))]
)
def test_grid_has_the_shape_of_the_image(image, count, grid):
    assert timm_backbone._grid(count, image) == grid


@pytest.mark.skipif(importlib.util.find_spec("torchvision") is None, reason="torchvision is not installed")
def test_torchvision_imports_behind_the_guard():
    guard = "from unveil.nn.backbones.torchvision_guard import guard_torchvision as g"
    code = f"{guard}; g(); import torchvision; print(g() in (0, 1))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "True"), done.stderr
