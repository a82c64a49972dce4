"""Go on with a run of `dual` on more people, without losing what its heads know.

The new run has to be there, begun from the old one (``backbone.init=OLD/model.safetensors``) on people of whom the
old one's come first, and stopped in its first epoch. Its weights become the old ones; rows of the classifiers for new
classes begin at the mean vector of their class (weight imprinting: Qi et al., Low-Shot Learning with Imprinted Weights,
CVPR 2018), shorter than the others by as much as these differ from such means. Then ``unveil train RECIPE --out NEW
--resume`` resumes.

    python scripts/grow_dual.py OLD NEW
"""

from __future__ import annotations

import argparse
import random
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor

from unveil.datasets import load_dataset
from unveil.methods.dual import PARTS
from unveil.models.checkpoint import load_model
from unveil.models.embed import embed_samples
from unveil.recipe import Recipe
from unveil.records import Sample
from unveil.training.state import NAME

MIN_SHARE = 0.3  # of the length of the old rows that new ones have, however little the old ones look like means


def main() -> None:
    """Run the script."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("old", type=Path, help="folder of the run that is finished")
    asked.add_argument("new", type=Path, help="folder of the run that was stopped")
    options = asked.parse_args()
    state = torch.load(options.new / NAME, weights_only=True)
    weights = load_file(options.old / "model.safetensors")
    grow(options.old, weights, Recipe.model_validate(state["identity"]["recipe"]))
    for kind in ("method", "average"):
        for key, tensor in state[kind].items():
            if tensor.shape != weights[key].shape:
                raise SystemExit(f"{key}: {tuple(tensor.shape)} in {options.new}, {tuple(weights[key].shape)} grown")
            state[kind][key] = weights[key].to(tensor.dtype, copy=True)
    written = options.new / f"{NAME}.grown"
    torch.save(state, written)
    written.replace(options.new / NAME)


def grow(old: Path, weights: dict[str, Tensor], recipe: Recipe) -> None:
    """Add rows to the classifiers in place: one crop of every outfit shows where its class lies."""
    model = load_model(old)
    by_outfit: dict[tuple[str, str], list[Sample]] = {}
    for source in recipe.data.train:
        for sample in load_dataset(source).train:
            by_outfit.setdefault((sample.person or "", sample.clothes or ""), []).append(sample)
    outfits = sorted(by_outfit)
    persons = sorted({person for person, _ in outfits})
    known = len(weights["classifiers.appearance.weight"])
    chosen = [*range(0, known, 10), *range(known, len(outfits))]
    draw = random.Random(0)
    embedding, _ = embed_samples(model, [draw.choice(by_outfit[outfits[i]]) for i in chosen])
    vectors = torch.as_tensor(embedding.vectors)
    before = len(range(0, known, 10))
    parts = [embedding.names.index(name) for name in PARTS]
    for head in ("appearance", "identity", "parts"):
        key = f"classifiers.{head}.weight"
        rows = weights[key]
        if head == "parts":
            features = vectors[:, parts, : rows.shape[1] // len(PARTS)].flatten(1)
        else:
            features = vectors[:, embedding.names.index(head), : rows.shape[1]]
        features = features - features[:before].mean(0)
        classes = [persons.index(outfits[i][0]) if head == "identity" else i for i in chosen]
        likeness = F.cosine_similarity(rows[classes[:before]], features[:before]).mean()
        means = torch.stack(
            [
                features[[n for n, c in enumerate(classes) if c == new]].mean(0)
                for new in sorted({c for c in classes if c >= len(rows)})
            ]
        )
        length = rows.norm(dim=1).mean() * max(float(likeness), MIN_SHARE)
        weights[key] = torch.cat([rows, F.normalize(means, dim=1) * length])


if __name__ == "__main__":
    main()
