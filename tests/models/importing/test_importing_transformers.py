"""TransReID and CLIP-ReID against transformers put together here from PyTorch's own encoder layers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from unveil.errors import CheckpointError, RecipeError
from unveil.models.checkpoint import load_model
from unveil.models.importing.checkpoint import import_checkpoint
from unveil.nn.backbones.reid_vit import ReidVit, jigsaw, shape_of
from unveil.nn.backbones.torchvision_guard import guard_torchvision

guard_torchvision()
pytest.importorskip("timm", reason="timm is not installed (extra timm)")
WIDTH, DEPTH, PATCH = 64, 3, 16
CAMERAS, PERSONS = 6, 7


def quick_gelu(x: Tensor) -> Tensor:
    return x * torch.sigmoid(1.702 * x)


def layer(clip: bool) -> nn.TransformerEncoderLayer:
    return nn.TransformerEncoderLayer(
        WIDTH, WIDTH // 64, 4 * WIDTH, dropout=0, activation=quick_gelu if clip else "gelu",
        layer_norm_eps=1e-5 if clip else 1e-6, batch_first=True, norm_first=True,
    )  # fmt: skip


@pytest.fixture
def crops() -> np.ndarray:
    return np.random.default_rng(3).integers(0, 256, (3, 256, 128, 3), np.uint8)


def images_of(crops: np.ndarray) -> Tensor:
    return (torch.from_numpy(crops).permute(0, 3, 1, 2) / 255 - 0.5) / 0.5


def drawn(module: nn.Module) -> nn.Module:
    """Return a module whose norms and biases are no longer fresh."""
    for parameter in module.parameters():
        if parameter.ndim == 1:
            nn.init.uniform_(parameter, -0.3, 1.2)
    return module.eval()


def theirs(block: nn.TransformerEncoderLayer, prefix: str) -> dict[str, Tensor]:
    """Return a layer under the names of TransReID."""
    names = {
        "self_attn.in_proj_": "attn.qkv.", "self_attn.out_proj.": "attn.proj.", "linear1.": "mlp.fc1.",
        "linear2.": "mlp.fc2.", "norm": "norm",
    }  # fmt: skip
    return _named(block, prefix, names)


def clips(block: nn.TransformerEncoderLayer, prefix: str) -> dict[str, Tensor]:
    """Return a layer under the names of CLIP."""
    names = {
        "self_attn.": "attn.", "linear1.": "mlp.c_fc.", "linear2.": "mlp.c_proj.", "norm1.": "ln_1.", "norm2.": "ln_2."
    }  # fmt: skip
    return _named(block, prefix, names)


def _named(block: nn.Module, prefix: str, names: dict[str, str]) -> dict[str, Tensor]:
    found = {}
    for key, value in block.state_dict().items():
        old, new = next((old, new) for old, new in names.items() if key.startswith(old))
        found[prefix + new + key.removeprefix(old)] = value
    return found


def embedded(path, crops) -> Tensor:
    return torch.from_numpy(load_model(path).embed_crops(crops).vectors[:, 0])


def close(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5 * float(expected.abs().max()))


@torch.inference_mode()
def test_the_small_transformer_of_transreid_has_larger_heads_and_scales_by_its_width(tmp_path, crops):
    """vit_small: heads of 96 channels, 3 widths inside, no biases of queries, keys and values, scale width ** -0.5."""
    torch.manual_seed(4)
    width, heads = 192, 2
    patches, norm = nn.Conv2d(3, width, PATCH, PATCH), drawn(nn.LayerNorm(width, eps=1e-6))
    first, positions = torch.randn(1, 1, width), torch.randn(1, 129, width)
    weights = {"base.cls_token": first, "base.pos_embed": positions}
    weights |= {f"base.patch_embed.proj.{key}": value for key, value in patches.state_dict().items()}
    weights |= {f"base.norm.{key}": value for key, value in norm.state_dict().items()}
    x = torch.cat([first.expand(3, -1, -1), patches(images_of(crops)).flatten(2).transpose(1, 2)], dim=1) + positions
    for n in range(DEPTH):
        block = drawn(nn.TransformerEncoderLayer(width, heads, 3 * width, 0, "gelu", 1e-6, True, True))
        block.self_attn.in_proj_bias.zero_()
        saved = theirs(block, f"base.blocks.{n}.")
        weights |= {key: value.clone() for key, value in saved.items() if not key.endswith("qkv.bias")}
        # PyTorch's layer scales by the length of a head: the rest of width ** -0.5 goes into its queries.
        block.self_attn.in_proj_weight[:width] *= (width**-0.5) / ((width / heads) ** -0.5)
        x = block(x)
    torch.save(weights, tmp_path / "small.pth")
    done = import_checkpoint(tmp_path / "small.pth", "transreid")
    assert done.card.recipe["backbone"]["name"] == "vit/w192_d3_p16_s16_256x128_h96_m3"
    close(embedded(done.path, crops), norm(x)[:, 0])


@pytest.mark.parametrize(("stride", "grid", "jpm"), [(16, (16, 8), False), (12, (21, 10), True), (11, (22, 11), True)])
@torch.inference_mode()
def test_a_transformer_of_transreid(stride, grid, jpm, tmp_path, crops):
    torch.manual_seed(2)
    patches = nn.Conv2d(3, WIDTH, PATCH, stride)
    blocks = [drawn(layer(False)) for _ in range(DEPTH)]
    norm = drawn(nn.LayerNorm(WIDTH, eps=1e-6))
    first, positions = torch.randn(1, 1, WIDTH), torch.randn(1, 1 + grid[0] * grid[1], WIDTH)
    side = torch.randn(CAMERAS, 1, WIDTH)
    weights = {"base.cls_token": first, "base.pos_embed": positions, "base.sie_embed": side}
    weights |= {f"base.patch_embed.proj.{key}": value for key, value in patches.state_dict().items()}
    for n, block in enumerate(blocks):
        weights |= theirs(block, f"base.blocks.{n}.")
    weights |= {f"base.norm.{key}": value for key, value in norm.state_dict().items()}
    weights |= {"base.fc.weight": torch.ones(1000, WIDTH), "base.fc.bias": torch.ones(1000)}
    weights |= {"classifier.weight": torch.ones(PERSONS, WIDTH), "bottleneck.weight": torch.ones(WIDTH)}

    x = patches(images_of(crops)).flatten(2).transpose(1, 2)
    assert x.shape[1] == grid[0] * grid[1]
    # A camera that the training set did not have: the mean of those that it had, times 3 as published.
    x = torch.cat([first.expand(3, -1, -1), x], dim=1) + positions + 3 * side.mean(dim=0)
    for block in blocks[: DEPTH - jpm]:
        x = block(x)
    if not jpm:
        expected = norm(x)[:, 0]
    else:
        whole, parts = (nn.Sequential(drawn(layer(False)), drawn(nn.LayerNorm(WIDTH, eps=1e-6))) for _ in range(2))
        for name, branch in (("b1", whole), ("b2", parts)):
            weights |= theirs(branch[0], f"{name}.0.")
            weights |= {f"{name}.1.{key}": value for key, value in branch[1].state_dict().items()}
        expected = [whole(x)[:, 0]]
        # Patches from the fifth on come first, those before it last; then the two halves alternate, patch by patch.
        order = [*range(5, x.shape[1]), *range(1, 5)]
        order += [order[-2]] * (len(order) % 2)
        order = [order[n // 2 + (n % 2) * (len(order) // 2)] for n in range(len(order))]
        length = (x.shape[1] - 1) // 4
        for n in range(4):
            some = x[:, [0, *order[n * length : (n + 1) * length]]]
            expected.append(parts(some)[:, 0] / 4)
        expected = torch.cat(expected, dim=1)
    torch.save({f"module.{key}": value for key, value in weights.items()}, tmp_path / "vit.pth")
    done = import_checkpoint(tmp_path / "vit.pth", "transreid")
    assert done.card.recipe["backbone"]["name"] == f"vit/w64_d3_p16_s{stride}_256x128" + ("_jpm" if jpm else "")
    assert {"classifier.weight", "bottleneck.weight", "base.fc.weight"} <= set(done.left_out)
    close(embedded(done.path, crops), expected)


@torch.inference_mode()
def test_the_image_encoder_of_clip_reid(tmp_path, crops):
    torch.manual_seed(4)
    patches = nn.Conv2d(3, WIDTH, PATCH, 12, bias=False)
    blocks = [drawn(layer(True)) for _ in range(DEPTH)]
    before, after = (drawn(nn.LayerNorm(WIDTH)) for _ in range(2))
    first, positions, projection = torch.randn(WIDTH), torch.randn(211, WIDTH), torch.randn(WIDTH, 32)
    side = torch.randn(CAMERAS, WIDTH)
    weights = {"class_embedding": first, "positional_embedding": positions, "proj": projection}
    weights |= {"conv1.weight": patches.weight}
    for n, block in enumerate(blocks):
        weights |= clips(block, f"transformer.resblocks.{n}.")
    for name, norm in (("ln_pre", before), ("ln_post", after)):
        weights |= {f"{name}.{key}": value for key, value in norm.state_dict().items()}
    weights = {f"image_encoder.{key}": value for key, value in weights.items()} | {"cv_embed": side}
    weights |= {"text_encoder.ln_final.bias": first, "prompt_learner.cls_ctx": side, "classifier_proj.weight": side}
    weights |= {"bottleneck_proj.weight": first}

    x = patches(images_of(crops)).flatten(2).transpose(1, 2)
    x = torch.cat([(first + side.mean(dim=0)).expand(3, 1, -1), x], dim=1) + positions
    x = before(x)
    for block in blocks:
        x = block(x)
    token = after(x)[:, 0]
    torch.save(weights, tmp_path / "clip.pth")
    done = import_checkpoint(tmp_path / "clip.pth", "clipreid")
    assert done.card.recipe["backbone"]["name"] == "vit/w64_d3_p16_s12_256x128_clip32"
    close(embedded(done.path, crops), torch.cat([token, token @ projection], dim=1))


@torch.inference_mode()
def test_an_imported_transformer_is_exported(tmp_path):
    """Its graph for ONNX Runtime agrees with PyTorch, shuffled patches and all."""
    pytest.importorskip("onnxscript", reason="the exporter of PyTorch is not installed (extra export)")
    pytest.importorskip("onnxruntime", reason="ONNX Runtime is not installed (extra onnx)")
    from unveil.inference.checked_export import export_model
    from unveil.methods.method import LabelSpace
    from unveil.models.card import Card
    from unveil.models.checkpoint import TrainedModel, new_model
    from unveil.recipe import load_recipe

    torch.manual_seed(5)
    name = "vit/w64_d2_p16_s12_64x32_jpm"
    recipe = load_recipe(
        None, [f"backbone.name={name}", "input.height=64", "input.width=32", "method.name=bot", "method.neck=false"]
    )
    method = new_model(recipe, LabelSpace(PERSONS)).eval()
    model = TrainedModel(method, recipe, Card(recipe=recipe.model_dump(mode="json"), persons=PERSONS))
    _, found = export_model(model, tmp_path / "vit.onnx")
    assert found.largest < 1e-4


def test_what_is_no_such_transformer_is_said(tmp_path, crops):
    positions = {"base.pos_embed": torch.ones(1, 100, 64), "base.patch_embed.proj.weight": torch.ones(64, 3, 16, 16)}
    positions["base.blocks.0.attn.qkv.bias"] = torch.ones(3)
    for tensors, like, words in (
        ({"base.conv1.weight": torch.ones(1)}, "transreid", "no vision transformer is in it .*--like bot"),
        (
            {"image_encoder.conv1.weight": torch.ones(1)},
            "clipreid",
            "no vision transformer is in it .*exported to ONNX",
        ),
        (positions, "transreid", "99 positions, 64 wide, are the patches of no known size: 256 x 128"),
    ):
        torch.save(tensors, tmp_path / "x.pth")
        with pytest.raises(CheckpointError, match=words):
            import_checkpoint(tmp_path / "x.pth", like)
    assert [path.name for path in tmp_path.iterdir()] == ["x.pth"]
    for name in ("vit/base", "vit/w65_d2_p16_s16_64x32", "vit/w64_d2_p8_s16_64x32", "vit/w64_d99_p16_s16_64x32"):
        with pytest.raises(RecipeError, match=r"backbone vit/\w+: expected"):
            shape_of(name)
    backbone = ReidVit(shape_of("vit/w64_d2_p16_s16_64x32"))
    with pytest.raises(
        RecipeError, match=r"takes images of 64 x 32, got 64 x 48: set input\.height=64 input\.width=32"
    ):
        backbone(torch.zeros(1, 3, 64, 48))


def test_every_part_of_the_jigsaw_sees_all_heights_and_no_patch_twice():
    tokens = torch.arange(1 + 128.0)[None, :, None]
    parts = [part[0, :, 0].int().tolist() for part in jigsaw(tokens)]
    assert all(part[0] == 0 and len(part) == 33 for part in parts)
    assert sorted(patch for part in parts for patch in part[1:]) == list(range(1, 129))
    assert all(min(part[1:]) < 64 < max(part[1:]) for part in parts)
