"""Put a trained model into the package: without its training heads, in half precision, under ``unveil:NAME``.

Only models that were trained on the synthetic world may be shipped.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

from unveil.datasets import load_dataset
from unveil.methods.dual import Dual
from unveil.methods.method import LabelSpace
from unveil.models.checkpoint import TrainedModel, load_model, new_model, write_model
from unveil.models.embed import embed_samples
from unveil.models.packing.without_heads import without_heads
from unveil.pretrained import FOLDER
from unveil.recipe import DataSource, MethodChoice

CROPS = 3000  # that the directions of the projections are found on
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
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path, help="folder of a run, or its model.safetensors")
    parser.add_argument("name")
    parser.add_argument("--trained-on", required=True, help="for its card, for example 'world:default?seed=1'")
    parser.add_argument("--compact", type=int, default=0, help="length to project appearance and identity to (dual)")
    parser.add_argument("--fit-on", help="world whose training crops the projections are found on")
    parser.add_argument("--mu", type=float, help="another threshold of visible parts (dual)")
    parser.add_argument("--first", type=Path, help="folder of the run that this one continued, for the start")
    parser.add_argument("--out", type=Path, default=FOLDER)
    asked = parser.parse_args()
    model = load_model(asked.run)
    if asked.compact and not asked.fit_on:
        parser.error("--compact finds the projections on crops: name a world with --fit-on")
    if asked.compact:
        model = with_projections(model, asked.compact, DataSource.model_validate(asked.fit_on), mu=asked.mu)
    tensors, card = without_heads(model)
    if asked.first:
        card = card.model_copy(update={"start": load_model(asked.first).card.start})
    published = card.start is not None and card.start.kind == "imagenet"
    start = f"starts from ImageNet weights ({card.start.licence}), then " if card.start and published else ""
    licence = f"Apache-2.0; {start}trained on synthetic people only: {asked.trained_on}"
    # Paths of the machine that trained it say nothing elsewhere.
    recipe = {
        **card.recipe, "data": {}, "backbone": {**card.recipe["backbone"], "init": "imagenet" if published else None},
    }  # fmt: skip
    card = card.model_copy(
        update={"licence": licence, "recipe": recipe, "intended_use": INTENDED_USE, "limits": LIMITS}
    )
    card = write_model(asked.out / f"{asked.name}.safetensors", tensors, card=card)
    print(f"unveil:{asked.name}, fingerprint {card.fingerprint}")


def with_projections(model: TrainedModel, length: int, source: DataSource, *, mu: float | None) -> TrainedModel:
    """Return a dual model whose appearance and identity are projected to a length, by crops that it may know."""
    samples = [sample for sample in load_dataset(source).samples if sample.split == "train"]
    embedding, _ = embed_samples(model, samples[:: max(1, len(samples) // CROPS)])
    changed = with_settings(model, {"compact_dim": length} | ({} if mu is None else {"mu": mu}))
    if not isinstance(changed.method, Dual):
        raise SystemExit(f"--compact is for dual, found {model.recipe.method.name}")
    changed.method.fit_projections(embedding)
    return changed


def with_settings(model: TrainedModel, changes: Mapping[str, object]) -> TrainedModel:
    """Return a model of the same weights, as far as it has them, under other settings of its method."""
    choice = MethodChoice.model_validate({**model.recipe.method.model_dump(), **changes})
    recipe, card = model.recipe.model_copy(update={"method": choice}), model.card
    method = new_model(recipe, LabelSpace(card.persons, card.clothes, card.outfits))
    method.load_state_dict(model.method.state_dict(), strict=False)
    return TrainedModel(method.eval(), recipe, card.model_copy(update={"recipe": recipe.model_dump(mode="json")}))


if __name__ == "__main__":
    main()
