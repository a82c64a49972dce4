"""Checkpoints of TransReID and CLIP-ReID: their vision transformer under the names of `unveil.nn.backbones.reid_vit`.

Both test with the vectors before the neck, so necks are left out with the classifiers. Embeddings of cameras and views
belong to the cameras of the training set: the mean of all of them is added, as for a crop of any one of these.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from torch import Tensor

from unveil.errors import CheckpointError
from unveil.models.importing.plan import Plan, Tensors, renamed, without
from unveil.nn.backbones.reid_vit import HEAD, INNER, VitShape

# What the published configurations multiply the embeddings of cameras and views by.
TRANSREID_SIDE, CLIP_SIDE = 3.0, 1.0
HEIGHTS_AND_WIDTHS = ((256, 128), (384, 128), (384, 192), (224, 224), (256, 256))
STRIDES = (16, 12, 11, 14)
SMALL_HEAD, SMALL_INNER = 96, 3  # vit_small of TransReID: 8 heads of 768 channels
HALVES = [0.5, 0.5, 0.5]


def transreid(tensors: Tensors) -> Plan:
    """TransReID (He et al., ICCV 2021), with or without jigsaw patches and side information."""
    own, left = without(tensors, r"classifier", r"bottleneck", r"base\.fc\.")
    if "base.pos_embed" not in own:
        raise CheckpointError("no vision transformer is in it (base.pos_embed); of its ResNet-50, --like bot")
    jpm = "b1.0.norm1.weight" in own
    depth = _depth(own, r"base\.blocks\.(\d+)\.")
    head, inner = HEAD, INNER
    if "base.blocks.0.attn.qkv.bias" not in own:  # vit_small alone
        own, head, inner = _with_biases(own), SMALL_HEAD, SMALL_INNER
    shape = _shape(
        own["base.patch_embed.proj.weight"], own["base.pos_embed"].shape[1], depth=depth, jpm=jpm, head=head,
        inner=inner,
    )  # fmt: skip
    if jpm:  # both branches hold a copy of the last block and norm, which the trunk does not use
        own, unused = without(own, rf"base\.blocks\.{depth - 1}\.", r"base\.norm\.")
        left += unused
    if (side := own.pop("base.sie_embed", None)) is not None:
        own["base.pos_embed"] = own["base.pos_embed"] + TRANSREID_SIDE * side.mean(dim=0, keepdim=True)
    branches = ((r"b1\.", "backbone.whole."), (r"b2\.", "backbone.parts."))
    return Plan(_recipe(shape), renamed(own, (r"base\.", "backbone.model."), *branches), left)


def clipreid(tensors: Tensors) -> Plan:
    """CLIP-ReID (Li et al., AAAI 2023) with the vision transformer: its image encoder and projection."""
    own, left = without(tensors, r"classifier", r"bottleneck", r"text_encoder\.", r"prompt_learner\.")
    if "image_encoder.class_embedding" not in own:
        raise CheckpointError(
            "no vision transformer is in it (image_encoder.class_embedding); its ResNet has to be exported to ONNX by "
            "CLIP-ReID itself: `unveil models add` takes that file"
        )
    own = renamed(own, (r"image_encoder\.", ""))
    projection = own.pop("proj")
    depth = _depth(own, r"transformer\.resblocks\.(\d+)\.")
    positions = own["positional_embedding"]
    shape = _shape(own["conv1.weight"], len(positions), depth=depth, clip=projection.shape[1])
    first = own.pop("class_embedding")
    if (side := own.pop("cv_embed", None)) is not None:
        first = first + CLIP_SIDE * side.mean(dim=0)
    found = {"projection.weight": projection.T.contiguous(), "model.cls_token": first[None, None]}
    found["model.pos_embed"] = own.pop("positional_embedding")[None]
    inner = (
        (r"ln_1\.", "norm1."), (r"ln_2\.", "norm2."), (r"mlp\.c_fc\.", "mlp.fc1."), (r"mlp\.c_proj\.", "mlp.fc2."),
        (r"attn\.in_proj_", "attn.qkv."), (r"attn\.out_proj\.", "attn.proj."),
    )  # fmt: skip
    outer = ((r"conv1\.", "model.patch_embed.proj."), (r"ln_pre\.", "model.norm_pre."), (r"ln_post\.", "model.norm."))
    own = renamed(own, *outer, (r"transformer\.resblocks\.", "model.blocks."))
    for theirs, ours in inner:
        own = renamed(own, (rf"(model\.blocks\.\d+)\.{theirs}", rf"\1.{ours}"))
    return Plan(_recipe(shape), {f"backbone.{key}": value.float() for key, value in (own | found).items()}, left)


def _recipe(shape: VitShape) -> dict[str, object]:
    return {
        "backbone.name": shape.name, "method.name": "bot", "method.neck": False, "input.height": shape.height,
        "input.width": shape.across, "input.mean": HALVES, "input.std": HALVES,
    }  # fmt: skip


def _with_biases(tensors: Tensors) -> dict[str, Tensor]:
    """Return attention without biases, scaled by the width in place of the head's, as what attention usually is.

    Biases are 0, and queries get the factor by which the scales differ.
    """
    found = dict(tensors)
    for key in [key for key in found if key.endswith(".attn.qkv.weight")]:
        width = found[key].shape[1]
        factors = torch.ones(len(found[key]), 1)
        factors[:width] = (SMALL_HEAD / width) ** 0.5
        found[key] = found[key] * factors
        found[key.removesuffix("weight") + "bias"] = torch.zeros(len(found[key]))
    return found


def _shape(
    patches: Tensor,
    tokens: int,
    *,
    depth: int,
    jpm: bool = False,
    clip: int = 0,
    head: int = HEAD,
    inner: int = INNER,
) -> VitShape:
    """Return the shape whose grid has as many patches as the embedding of positions."""
    width, patch = len(patches), patches.shape[-1]
    shapes = [
        VitShape(width, depth, patch, stride, *size, jpm, clip, head, inner)
        for size in HEIGHTS_AND_WIDTHS
        for stride in STRIDES
        if stride <= patch
    ]
    found = next((shape for shape in shapes if shape.grid[0] * shape.grid[1] == tokens - 1), None)
    if found is None or width % head:
        sizes = ", ".join(f"{height} x {across}" for height, across in HEIGHTS_AND_WIDTHS)
        raise CheckpointError(
            f"its {tokens - 1} positions, {width} wide, are the patches of no known size: {sizes} with a stride of "
            f"{', '.join(map(str, STRIDES))}"
        )
    return found


def _depth(tensors: Mapping[str, Tensor], pattern: str) -> int:
    return 1 + max((int(found[1]) for key in tensors if (found := re.match(pattern, key))), default=0)
