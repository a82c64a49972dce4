"""A checkpoint of another toolkit as a model of this package: read without running its code, tried, then written."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from unveil.atomic_io import sha256
from unveil.errors import CheckpointError, RecipeError
from unveil.methods.method import LabelSpace, Method
from unveil.models.card import Card, Start
from unveil.models.catalogue.installed import check_name, models_folder
from unveil.models.checkpoint import TrainedModel, new_model, save_model
from unveil.models.importing.toolkits import find_toolkit
from unveil.nn.backbones.weights import read_weights
from unveil.recipe import load_recipe, with_overrides

LISTED = 10
SEED = 11
_WRAPPERS = ("module.", "model.")


@dataclass(frozen=True)
class Imported:
    """A checkpoint that is a model of this package now.

    Args:
        path: of the model.
        card: its card, fingerprint and all.
        left_out: keys of the checkpoint that only training needs.
    """

    path: Path
    card: Card
    left_out: tuple[str, ...]

    def __str__(self) -> str:
        recipe = self.card.recipe
        method, size = recipe["method"], recipe["input"]
        settings = ", ".join(f"{key} {value}" for key, value in method.items() if key != "name")
        left = f"; left out: {_listed(self.left_out)}" if self.left_out else ""
        return (
            f"{self.path}: {recipe['backbone']['name']}, last stride {recipe['backbone']['last_stride']}, method "
            f"{method['name']} ({settings}), crops of {size['height']} x {size['width']}, {size['interpolation']}; "
            f"fingerprint {self.card.fingerprint}{left}"
        )


def import_checkpoint(
    checkpoint: Path,
    like: str,
    *,
    overrides: Iterable[str] = (),
    name: str | None = None,
    out: Path | None = None,
    licence: str = "unstated",
    replace: bool = False,
) -> Imported:
    """Write the model that a checkpoint of another toolkit is.

    Args:
        checkpoint: file of PyTorch (opened as tensors and numbers alone) or ``.safetensors``.
        like: name of a toolkit; see `unveil.models.importing.toolkits.TOOLKITS`.
        overrides: ``key=value`` of the recipe where it differs from what the toolkit does by default.
        name: install it under this name.
        out: file to write (``.safetensors``); by default beside the checkpoint.
        licence: of the weights.
        replace: write over a model that is there.

    Raises:
        CheckpointError: the toolkit is unknown; the file holds something other than tensors; keys are missing,
            unexpected or of another shape; or the network gives no usable vectors. Nothing is written.
        RecipeError: an override is wrong.
    """
    plan_of = find_toolkit(like)
    target = models_folder() / check_name(name) / f"{name}.safetensors" if name else out
    target = target or checkpoint.with_suffix(".safetensors")
    if target.suffix != ".safetensors":
        raise CheckpointError(f"{target}: a model file ends in .safetensors")
    if target == checkpoint:
        raise CheckpointError(f"{checkpoint}: name the file to write with --out, or install it with --name")
    if target.exists() and not replace:
        raise CheckpointError(f"{target} is there already: --replace writes it anew")
    try:
        plan = plan_of(_unwrapped(read_weights(checkpoint)))
    except CheckpointError as e:
        said = str(e) if str(checkpoint) in str(e) else f"{checkpoint} is no {like} checkpoint: {e}"
        raise CheckpointError(said) from None
    recipe = load_recipe(None, ["augment.erase=none"])
    recipe = with_overrides(recipe, [f"{key}={_yaml(value)}" for key, value in plan.recipe.items()])
    recipe = with_overrides(recipe, overrides)
    if recipe.backbone.init is not None:
        raise RecipeError("backbone.init: a checkpoint that is imported starts from itself")
    method = new_model(recipe, LabelSpace(1)).eval()
    _load(method, plan.tensors, source=f"{checkpoint}, read as {like},")
    start = Start(kind="file", name=checkpoint.name, sha256=sha256(checkpoint), licence=licence)
    card = Card(recipe=recipe.model_dump(mode="json"), persons=1, licence=licence, start=start)
    _try(TrainedModel(method, recipe, card), checkpoint)
    target.parent.mkdir(parents=True, exist_ok=True)
    return Imported(target, save_model(target, method, card=card), plan.left_out)


def _unwrapped(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors without the name of a module that wraps all of them."""
    for prefix in _WRAPPERS:
        if all(key.startswith(prefix) for key in tensors):
            tensors = {key.removeprefix(prefix): value for key, value in tensors.items()}
    return tensors


def _load(method: Method, tensors: dict[str, Tensor], *, source: str) -> None:
    """Fill a method; its classifier, which a search has no use for, becomes zero."""
    own = method.state_dict()
    for key, tensor in own.items():
        if key.startswith("classifier."):
            tensor.zero_()
    # Checkpoints of PyTorch before 0.4.1 lack the counters, which nothing depends on.
    wanted = [k for k in own if not k.startswith("classifier.")]
    missing = [k for k in wanted if k not in tensors and not k.endswith("num_batches_tracked")]
    unexpected = [k for k in tensors if k not in own]
    shapes = [
        f"{k} {tuple(tensors[k].shape)} instead of {tuple(own[k].shape)}"
        for k in wanted
        if k in tensors and tensors[k].shape != own[k].shape
    ]
    lists = (("missing", missing), ("unexpected", unexpected), ("of another shape", shapes))
    if missing or unexpected or shapes:
        words = "; ".join(f"{what}: {_listed(keys)}" for what, keys in lists if keys)
        network = f"{type(method).__name__} on {type(method.backbone).__name__}"
        raise CheckpointError(f"{source} does not fit {network}: {words}")
    method.load_state_dict(tensors, strict=False)


def _try(model: TrainedModel, checkpoint: Path) -> None:
    size = model.input
    drawn = torch.Generator().manual_seed(SEED)
    crops = torch.randint(0, 256, (2, size.height, size.width, 3), dtype=torch.uint8, generator=drawn).numpy()
    vectors = model.embed_crops(crops).numpy().vectors
    if not torch.isfinite(torch.from_numpy(vectors)).all():
        raise CheckpointError(f"{checkpoint}: the network answers with NaN or infinity for a test crop")
    if abs(vectors[0] - vectors[1]).max() <= 1e-6 * abs(vectors).max():
        raise CheckpointError(f"{checkpoint}: the network gives two different crops one vector")


def _listed(keys: Iterable[str]) -> str:
    names = list(keys)
    return ", ".join(names[:LISTED]) + (f" and {len(names) - LISTED} more" if len(names) > LISTED else "")


def _yaml(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
