"""Small models with drawn weights, saved as training would save them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from unveil.methods.method import LabelSpace
from unveil.models.card import Card
from unveil.models.checkpoint import new_model, save_model
from unveil.recipe import load_recipe


def make_model(
    folder: Path, method: str = "bot", seed: int = 0, height: int = 128, width: int = 64, settings: Sequence[str] = ()
) -> Path:
    """Save a small untrained model whose statistics are no longer those of a fresh batch norm."""
    torch.manual_seed(seed)
    overrides = [
        f"method.name={method}",
        "backbone.name=resnet18_x0_5",
        f"input.height={height}",
        f"input.width={width}",
        *settings,
    ]
    recipe = load_recipe(None, overrides)
    built = new_model(recipe, LabelSpace(5, 10, tuple(n // 2 for n in range(10))))
    for module in built.modules():
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
            torch.nn.init.uniform_(module.running_mean, -0.2, 0.2)
            torch.nn.init.uniform_(module.running_var, 0.5, 1.5)
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
    card = Card(recipe=recipe.model_dump(mode="json"), persons=5, clothes=10, outfits=tuple(n // 2 for n in range(10)))
    save_model(folder / "model.safetensors", built, card=card)
    return folder / "model.safetensors"
