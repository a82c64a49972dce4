"""Put a trained model into the package: without its training heads, in half precision, under ``unveil:NAME``.

Only models that were trained on the synthetic world may be shipped.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from unveil.cli.allocator import keep_freed_memory
from unveil.data.augment.pipeline import augment
from unveil.data.store.image_store import open_store
from unveil.datasets import load_dataset
from unveil.methods.dual import COLOUR, Dual
from unveil.methods.method import LabelSpace
from unveil.models.checkpoint import TrainedModel, load_model, new_model, write_model
from unveil.models.packing.without_heads import without_heads
from unveil.nn.colour_histogram import COLOURS
from unveil.pretrained import FOLDER
from unveil.progress import track
from unveil.recipe import DataSource, MethodChoice
from unveil.records import Batch

BATCH = 64
PROJECTED = ("appearance", "identity", COLOUR)
INTENDED_USE = (
    "Sorting crops of people by how alike they look, across cameras, for somebody who then looks and decides; research "
    "on re-identification of occluded people and across clothes; a start for training and for adaptation to cameras."
)
LIMITS = (
    "A likeness is no evidence of who somebody is. It saw rendered people only: on real ones it is far behind networks "
    "that were trained on real people, and across clothes most of its first answers are wrong (docs/results.md). "
    "Whether it errs more for some groups of people than for others has not been measured."
)


def main() -> None:
    """Run the script."""
    keep_freed_memory()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path, help="folder of a run, or its model.safetensors")
    parser.add_argument("name")
    parser.add_argument("--trained-on", required=True, help="for its card, for example 'world:default?seed=1'")
    parser.add_argument("--compact", type=int, default=0, help="length to project appearance and identity to (dual)")
    parser.add_argument("--colours", type=int, default=0, help="length of the vector of colours to add (dual)")
    parser.add_argument("--fit-on", help="world whose training crops the projections and the colours are found on")
    parser.add_argument("--mu", type=float, help="another threshold of visible parts (dual)")
    parser.add_argument("--first", type=Path, help="folder of the run that this one continued, for the start")
    parser.add_argument("--out", type=Path, default=FOLDER)
    asked = parser.parse_args()
    model = load_model(asked.run)
    if (asked.compact or asked.colours) and not asked.fit_on:
        parser.error("--compact and --colours are found on crops: name a world with --fit-on")
    if asked.fit_on:
        source = DataSource.model_validate(asked.fit_on)
        model = with_projections(model, source, compact=asked.compact, colours=asked.colours, mu=asked.mu)
    tensors, card = without_heads(model)
    if asked.first:
        card = card.model_copy(update={"start": load_model(asked.first).card.start})
    published = card.start is not None and card.start.kind == "imagenet"
    start = f"; starts from ImageNet weights ({card.start.licence})" if card.start and published else ""
    # Paths of the machine that trained it say nothing elsewhere.
    recipe = {
        **card.recipe, "data": {}, "backbone": {**card.recipe["backbone"], "init": "imagenet" if published else None},
    }  # fmt: skip
    card = card.model_copy(
        update={
            "licence": f"Apache-2.0{start}",
            "trained_on": f"synthetic people only: {asked.trained_on}",
            "recipe": recipe,
            "intended_use": INTENDED_USE,
            "limits": LIMITS,
        }
    )
    card = write_model(asked.out / f"{asked.name}.safetensors", tensors, card=card)
    print(f"unveil:{asked.name}, fingerprint {card.fingerprint}")


def with_projections(
    model: TrainedModel, source: DataSource, *, compact: int, colours: int, mu: float | None
) -> TrainedModel:
    """Return a dual model with short vectors, and with colours, by crops of people whom it did not learn."""
    lengths = {"compact_dim": compact, "colour_dim": colours} | ({} if mu is None else {"mu": mu})
    whole = with_settings(model, {"compact_dim": 0, "colour_dim": COLOURS if colours else 0})
    changed = with_settings(model, lengths)
    if not isinstance(whole.method, Dual) or not isinstance(changed.method, Dual):
        raise SystemExit(f"--compact and --colours are for dual, found {model.recipe.method.name}")
    recipe = model.recipe
    for method in (whole.method, changed.method):
        method.tell_input(recipe.input)
    store = open_store([s for s in load_dataset(source).samples if s.split == "train"], model.crop_size)
    # Everything that a camera does, nothing that hides people or takes them to another place.
    settings = recipe.augment.model_copy(update={"erase": "none", "background": 0.0})
    generator = torch.Generator().manual_seed(0)
    seen: dict[str, list[Tensor]] = {}
    with torch.inference_mode():
        for first in track(range(0, len(store.samples), BATCH), f"embedding {len(store.samples)} crops"):
            images = torch.from_numpy(store.images[first : first + BATCH].copy()).permute(0, 3, 1, 2)
            batch = Batch(images, torch.full((len(images),), -1))
            embedding = whole.method.embed(augment(batch, settings, size=recipe.input, generator=generator))
            for name in sorted(set(PROJECTED) & set(embedding.names)):
                seen.setdefault(name, []).append(embedding.vectors[:, embedding.names.index(name)].clone())
    persons, outfits = (
        torch.from_numpy(np.unique([getattr(sample, what) for sample in store.samples], return_inverse=True)[1])
        for what in ("person", "clothes")
    )
    changed.method.fit_projections(
        {name: torch.cat(parts) for name, parts in seen.items()}, persons=persons, outfits=outfits
    )
    return changed


def with_settings(model: TrainedModel, changes: Mapping[str, object]) -> TrainedModel:
    """Return a model of the same weights, as far as it has them, under other settings of its method."""
    choice = MethodChoice.model_validate({**model.recipe.method.model_dump(), **changes})
    recipe, card = model.recipe.model_copy(update={"method": choice}), model.card
    method = new_model(recipe, LabelSpace(card.persons, card.clothes, card.outfits))
    own = method.state_dict()
    weights = {
        key: tensor
        for key, tensor in model.method.state_dict().items()
        if key in own and own[key].shape == tensor.shape
    }
    method.load_state_dict(weights, strict=False)
    return TrainedModel(method.eval(), recipe, card.model_copy(update={"recipe": recipe.model_dump(mode="json")}))


if __name__ == "__main__":
    main()
