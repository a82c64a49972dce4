"""Vision transformers as ReID trains them: overlapping patches, and the class token as what the network answers.

TransReID (He et al., ICCV 2021, sections 3.1 to 3.3) and CLIP-ReID (Li et al., AAAI 2023), put together of timm's
blocks. ``vit/w768_d12_p16_s12_256x128`` is 768 wide and 12 blocks deep, with patches of 16 pixels every 12 of an image
256 high and 128 wide; ``_h96_m3`` has heads of 96 channels and 3 times the width inside its perceptrons, in place of 64
and 4; ``_jpm`` has the jigsaw patch module, ``_clip512`` what CLIP adds: no bias of the patches, a norm before the
blocks, its own GELU and a projection to 512.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from unveil.errors import MissingExtraError, RecipeError
from unveil.nn.backbones.backbone import Backbone, FeatureHook, Stage
from unveil.nn.backbones.torchvision_guard import guard_torchvision

PREFIX = "vit/"
HEAD, INNER = 64, 4  # channels of an attention head; width inside of the perceptrons, in widths of a token
# Section 3.2 and the published configurations: tokens are moved by 5, shuffled in 2 groups, and looked at in 4 parts.
SHIFT, GROUPS, PARTS = 5, 2, 4
_NAME = re.compile(r"w(\d+)_d(\d+)_p(\d+)_s(\d+)_(\d+)x(\d+)(?:_h(\d+)_m(\d+))?(?:_(jpm)|_clip(\d+))?")
MAX_WIDTH, MAX_DEPTH, MAX_SIDE, MAX_INNER = 2048, 48, 1024, 8


@dataclass(frozen=True)
class VitShape:
    """What tells one transformer from another.

    Args:
        width: channels of a token, a multiple of ``head``.
        depth: blocks.
        patch: side of a patch, pixels.
        stride: pixels from one patch to the next.
        height: of the image, pixels.
        across: its width, pixels.
        jpm: whether the jigsaw patch module is there.
        clip: length of CLIP's projection; 0 for a transformer that is not CLIP's.
        head: channels of an attention head.
        inner: width inside of the perceptrons, in widths of a token.
    """

    width: int
    depth: int
    patch: int
    stride: int
    height: int
    across: int
    jpm: bool = False
    clip: int = 0
    head: int = HEAD
    inner: int = INNER

    @property
    def name(self) -> str:
        """By which `unveil.nn.backbones.choice.build_backbone` knows it."""
        ending = "" if (self.head, self.inner) == (HEAD, INNER) else f"_h{self.head}_m{self.inner}"
        ending += "_jpm" if self.jpm else f"_clip{self.clip}" if self.clip else ""
        size = f"w{self.width}_d{self.depth}_p{self.patch}_s{self.stride}_{self.height}x{self.across}"
        return f"{PREFIX}{size}{ending}"

    @property
    def grid(self) -> tuple[int, int]:
        """Patches from top to bottom and from left to right."""
        return (self.height - self.patch) // self.stride + 1, (self.across - self.patch) // self.stride + 1


def shape_of(name: str) -> VitShape:
    """Return the shape that a name with `PREFIX` means.

    Raises:
        RecipeError: it is no such name.
    """
    found = _NAME.fullmatch(name.removeprefix(PREFIX))
    if found is None:
        raise RecipeError(
            f"backbone {name}: expected {PREFIX}wWIDTH_dDEPTH_pPATCH_sSTRIDE_HEIGHTxWIDTH, then _hHEAD_mINNER, then "
            "_jpm or _clipN"
        )
    width, depth, patch, stride, height, across = map(int, found.groups()[:6])
    head, inner = int(found[7] or HEAD), int(found[8] or INNER)
    shape = VitShape(
        width, depth, patch, stride, height, across, found[9] is not None, int(found[10] or 0), head, inner
    )
    fits = 0 < head <= width <= MAX_WIDTH and width % head == 0 and 0 < inner <= MAX_INNER
    fits = fits and 1 < depth <= MAX_DEPTH and shape.clip <= MAX_WIDTH
    if not fits or not 0 < stride <= patch <= min(height, across) or max(height, across) > MAX_SIDE:
        raise RecipeError(
            f"backbone {name}: expected a width that is a multiple of {head} up to {MAX_WIDTH}, 2 to {MAX_DEPTH} "
            f"blocks, patches no smaller than their stride, and an image of at most {MAX_SIDE} pixels a side"
        )
    return shape


class ReidVit(Backbone):
    """A vision transformer whose map ``(B, C, 1, 1)`` is its class token.

    With the jigsaw patch module C is five times the width: the class token behind the last block, and behind another
    one that sees a quarter of the shuffled patches at a time, these by 4 as published. With CLIP's projection the
    projected token follows the token.

    Args:
        shape: of the transformer and of the images that it takes.

    Raises:
        MissingExtraError: timm is not installed.
    """

    def __init__(self, shape: VitShape) -> None:
        super().__init__()
        self.shape = shape
        self.model = _trunk(shape)
        self.whole = self.parts = None
        channels = shape.width * (1 + PARTS) if shape.jpm else shape.width + shape.clip
        if shape.jpm:
            self.whole, self.parts = _last(shape), _last(shape)
        self.projection = nn.Linear(shape.width, shape.clip, bias=False) if shape.clip else None
        self.stages = (Stage("features", channels, shape.stride, ()),)

    def forward(self, images: Tensor, hooks: Mapping[str, FeatureHook] | None = None) -> Tensor:
        """Return the tokens as a map of one position; see `Backbone.forward`.

        Raises:
            RecipeError: images are of another size than the embedding of positions was learnt for.
        """
        hooks = self.check_hooks(hooks)
        wanted = (self.shape.height, self.shape.across)
        if tuple(images.shape[2:]) != wanted:
            raise RecipeError(
                f"backbone {self.shape.name} takes images of {wanted[0]} x {wanted[1]}, got {images.shape[2]} x "
                f"{images.shape[3]}: set input.height={wanted[0]} input.width={wanted[1]}"
            )
        tokens = self.model.forward_features(images)  # type: ignore[operator]
        if self.whole is not None and self.parts is not None:
            vectors = [self.whole(tokens)[:, 0], *(self.parts(part)[:, 0] / PARTS for part in jigsaw(tokens))]
        else:
            vectors = [tokens[:, 0]]
            if self.projection is not None:
                vectors.append(self.projection(vectors[0]))
        out = torch.cat(vectors, dim=1)[:, :, None, None]
        return hooks["features"](out) if "features" in hooks else out

    def checkpointable(self) -> list[nn.Module]:
        """Return the blocks of the transformer, with the two branches of the jigsaw patch module."""
        blocks = self.model.get_submodule("blocks").children()
        return [*blocks, *(branch for branch in (self.whole, self.parts) if branch is not None)]


def jigsaw(tokens: Tensor) -> list[Tensor]:
    """Return the class token with each of `PARTS` parts of the shifted and shuffled patches (section 3.2).

    Args:
        tokens: ``(B, 1 + N, C)``, the class token first.

    Returns:
        `PARTS` times ``(B, 1 + N // PARTS, C)``.
    """
    first, patches = tokens[:, :1], tokens[:, 1:]
    length = patches.shape[1] // PARTS
    # As published: the shift counts the class token, which is not among what is shifted.
    moved = torch.cat([tokens[:, SHIFT:], tokens[:, 1:SHIFT]], dim=1)
    if moved.shape[1] % GROUPS:
        moved = torch.cat([moved, moved[:, -2:-1]], dim=1)
    shuffled = moved.unflatten(1, (GROUPS, -1)).transpose(1, 2).flatten(1, 2)
    return [torch.cat([first, shuffled[:, n * length : (n + 1) * length]], dim=1) for n in range(PARTS)]


class _Patches(nn.Module):
    """Patches that may overlap; it stands in for timm's, whose patches do not."""

    def __init__(self, shape: VitShape, **made: Any) -> None:
        super().__init__()
        self.grid_size = shape.grid
        self.num_patches = shape.grid[0] * shape.grid[1]
        self.proj = nn.Conv2d(3, shape.width, shape.patch, stride=shape.stride, bias=made["bias"])

    def forward(self, images: Tensor) -> Tensor:
        """Return ``(B, N, C)``, row by row."""
        return self.proj(images).flatten(2).transpose(1, 2)


def _trunk(shape: VitShape) -> nn.Module:
    """Return timm's transformer; with the jigsaw patch module without its last block, which two branches have."""
    guard_torchvision()
    try:
        from timm.models.vision_transformer import VisionTransformer
    except ImportError:
        raise MissingExtraError(f"backbone {shape.name}", "timm") from None
    return VisionTransformer(
        img_size=(shape.height, shape.across), patch_size=shape.patch, num_classes=0, global_pool="token",
        embed_dim=shape.width, depth=shape.depth - shape.jpm, num_heads=shape.width // shape.head,
        mlp_ratio=shape.inner,
        embed_layer=partial(_Patches, shape), pre_norm=bool(shape.clip), final_norm=not shape.jpm,
        norm_layer=partial(nn.LayerNorm, eps=_epsilon(shape)), act_layer="quick_gelu" if shape.clip else None,
    )  # fmt: skip


def _last(shape: VitShape) -> nn.Sequential:
    from timm.models.vision_transformer import Block

    norm: Any = partial(nn.LayerNorm, eps=_epsilon(shape))
    block = Block(shape.width, shape.width // shape.head, mlp_ratio=shape.inner, qkv_bias=True, norm_layer=norm)
    return nn.Sequential(block, norm(shape.width))


def _epsilon(shape: VitShape) -> float:
    return 1e-5 if shape.clip else 1e-6
