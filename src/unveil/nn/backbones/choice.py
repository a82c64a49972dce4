"""Backbones by name: ``resnet50``, ``resnet18_x0_5`` (half as wide), ``osnet_x1_0``, ``timm/<model>``, ``vit/<..>``."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from unveil.errors import RecipeError, nearest
from unveil.nn.backbones.backbone import Backbone
from unveil.nn.backbones.efficientnet_lite import SCALES, EfficientNetLite
from unveil.nn.backbones.osnet import WIDTHS, OSNet
from unveil.nn.backbones.reid_vit import PREFIX as VIT
from unveil.nn.backbones.reid_vit import ReidVit, shape_of
from unveil.nn.backbones.resnet import ResNet
from unveil.nn.backbones.timm_backbone import PREFIX, TimmBackbone
from unveil.nn.backbones.weights import load_weights
from unveil.recipe import BackboneChoice


def _osnet(last_stride: int, *, width: float, ain: bool) -> Backbone:
    if last_stride != 1:
        raise RecipeError(f"backbone.last_stride: OSNet has only 1 (its map is 1/16 of the image), found {last_stride}")
    return OSNet(width, ain=ain)


BACKBONES: dict[str, Callable[[int], Backbone]] = {
    **{f"resnet{depth}": partial(ResNet, depth) for depth in (18, 34, 50, 101)},
    **{f"resnet{depth}_ibn_a": partial(ResNet, depth, ibn=True) for depth in (18, 34, 50, 101)},
    **{f"resnet{depth}_ceil": partial(ResNet, depth, stem="ceil") for depth in (18, 34, 50, 101)},
    **{f"resnet{depth}_ibn_a_ceil": partial(ResNet, depth, ibn=True, stem="ceil") for depth in (18, 34, 50, 101)},
    **{f"resnet{depth}_no_relu": partial(ResNet, depth, stem="no_relu") for depth in (18, 34, 50, 101)},
    "resnet18_x0_5": partial(ResNet, 18, width=0.5),
    **{f"efficientnet_lite{number}": partial(EfficientNetLite, number) for number in SCALES},
    **{f"osnet_{name}": partial(_osnet, width=width, ain=False) for name, width in WIDTHS.items()},
    **{f"osnet_ain_{name}": partial(_osnet, width=width, ain=True) for name, width in WIDTHS.items()},
}


def build_backbone(choice: BackboneChoice, *, weights: Path | None = None) -> Backbone:
    """Return a backbone with the weights of a file, or with random ones.

    Args:
        choice: name and last stride. Its ``init`` is for the caller: `unveil.models.starts.find_start` turns it into
            a file.
        weights: file of weights to load.

    Raises:
        RecipeError: no backbone has that name, or it cannot have that last stride.
        CheckpointError: the file of weights does not fit.
        MissingExtraError: the name is one of timm and timm is not installed.
    """
    if choice.name.startswith(PREFIX):
        model = TimmBackbone(choice.name.removeprefix(PREFIX), choice.last_stride, weights=weights)
        return _frozen(model, choice)
    if choice.name.startswith(VIT):
        vit = ReidVit(shape_of(choice.name))
        if weights is not None:
            load_weights(vit, weights)
        return _frozen(vit, choice)
    if choice.name not in BACKBONES:
        known = ", ".join(sorted(BACKBONES))
        raise RecipeError(
            f"unknown backbone {choice.name!r}{nearest(choice.name, BACKBONES)}; known: {known}, {PREFIX}<model>, "
            f"{VIT}<size>"
        )
    backbone = BACKBONES[choice.name](choice.last_stride)
    if weights is not None:
        load_weights(backbone, weights)
    return _frozen(backbone, choice)


def _frozen(backbone: Backbone, choice: BackboneChoice) -> Backbone:
    try:
        backbone.freeze_stages(choice.frozen_stages)
    except ValueError as e:
        raise RecipeError(f"backbone.frozen_stages: {e}") from None
    return backbone
