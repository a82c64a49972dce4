"""Go on with a run of `dual` on more people, without losing what its heads know.

The new run has to be there, begun from the old one (``backbone.init=OLD/model.safetensors``) and stopped in its first
epoch. It has the people whom the old one's classifiers know first; a model without its classifiers, as the package's,
goes on with any people. The weights become the old ones; rows of the classifiers for new classes begin at the vector of
a crop of their class (weight imprinting: Qi et al., Low-Shot Learning with Imprinted Weights, CVPR 2018), for people at
the mean of one of each outfit. Then ``unveil train RECIPE --out NEW --resume`` resumes.

    python scripts/grow_dual.py OLD NEW
"""

from __future__ import annotations

import argparse
import random
from pathlib import Path

import torch
import torch.nn.functional as F
from ship_weights import with_settings
from torch import Tensor

from unveil.cli.allocator import keep_freed_memory
from unveil.datasets import load_dataset
from unveil.losses.cross_entropy import cross_entropy
from unveil.methods.dual import PARTS, DualSettings
from unveil.models.checkpoint import load_model
from unveil.models.embed import embed_samples
from unveil.recipe import Recipe
from unveil.records import Sample
from unveil.training.state import NAME

CHECKED = 20  # of every so many outfits a second crop says how long the rows should be
LENGTHS = [0.02 * 1.1**n for n in range(60)]


def main() -> None:
    """Run the script."""
    keep_freed_memory()
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("old", help="run that is finished, or a model: unveil:dual")
    asked.add_argument("new", type=Path, help="folder of the run that was stopped")
    options = asked.parse_args()
    state = torch.load(options.new / NAME, weights_only=True)
    weights = {key: tensor.clone() for key, tensor in load_model(options.old).method.state_dict().items()}
    grow(options.old, weights, Recipe.model_validate(state["identity"]["recipe"]))
    for kind in ("method", "average"):
        for key, tensor in state[kind].items():
            if tensor.shape != weights[key].shape:
                raise SystemExit(f"{key}: {tuple(tensor.shape)} in {options.new}, {tuple(weights[key].shape)} grown")
            state[kind][key] = weights[key].to(tensor.dtype, copy=True)
    written = options.new / f"{NAME}.grown"
    torch.save(state, written)
    written.replace(options.new / NAME)


def grow(old: str, weights: dict[str, Tensor], recipe: Recipe) -> None:
    """Put classifiers that know all outfits in place, told from a crop of each."""
    model = load_model(old)
    by_outfit: dict[tuple[str, str], list[Sample]] = {}
    for source in recipe.data.train:
        for sample in load_dataset(source).train:
            by_outfit.setdefault((sample.person or "", sample.clothes or ""), []).append(sample)
    outfits = sorted(by_outfit)
    persons = sorted({person for person, _ in outfits})
    # Without its heads, a model knows one nameless person: then all classes are new.
    known = len(weights["classifiers.appearance.weight"]) if model.card.persons > 1 else 0
    draw = random.Random(0)
    drawn = [
        draw.sample(by_outfit[outfit], min(2 if i % CHECKED == 0 else 1, len(by_outfit[outfit])))
        for i, outfit in enumerate(outfits)
    ]
    whole = with_settings(model, {"compact_dim": 0}) if model.recipe.method.settings.get("compact_dim") else model
    embedding, _ = embed_samples(whole, [sample for crops in drawn for sample in crops])
    vectors = torch.as_tensor(embedding.vectors)
    outfit = torch.tensor([i for i, crops in enumerate(drawn) for _ in crops])
    person = torch.tensor([persons.index(outfits[i][0]) for i in outfit])
    held_out = torch.tensor([n > 0 for crops in drawn for n in range(len(crops))])
    parts = [embedding.names.index(name) for name in PARTS]
    for head in ("appearance", "identity", "parts"):
        key = f"classifiers.{head}.weight"
        rows = weights[key].float()
        if head == "parts":
            features = vectors[:, parts, : rows.shape[1] // len(PARTS)].flatten(1)
        else:
            features = vectors[:, embedding.names.index(head), : rows.shape[1]]
        # Vectors come at length 1; behind a batch norm they have that of their number of values.
        features = F.normalize(features, dim=1) * rows.shape[1] ** 0.5
        classes = person if head == "identity" else outfit
        count = int(classes.max()) + 1
        sums = torch.zeros(count, rows.shape[1]).index_add_(0, classes[~held_out], features[~held_out])
        means = F.normalize(sums, dim=1)
        smoothing = recipe.method.settings.get("smoothing", DualSettings.smoothing)
        length = best_length(means, features[held_out], classes=classes[held_out], smoothing=smoothing)
        kept = persons_of(outfits, persons, known) if head == "identity" else known
        weights[key] = torch.cat([rows[:kept], means[kept:] * length])
        print(f"{head}: {count - kept} of {count} classes begin at their mean vector, length {length:.3f}")


def persons_of(outfits: list[tuple[str, str]], persons: list[str], known: int) -> int:
    """Return how many people the first ``known`` outfits are of."""
    return persons.index(outfits[known - 1][0]) + 1 if known else 0


def best_length(means: Tensor, features: Tensor, *, classes: Tensor, smoothing: float) -> float:
    """Return the length of all rows at which other crops have the least loss: that of the training, smoothed labels."""
    likeness = features @ means.T
    return min(LENGTHS, key=lambda length: float(cross_entropy(length * likeness, classes, smoothing=smoothing)))


if __name__ == "__main__":
    main()
