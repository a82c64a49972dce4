"""Put a trained model into the package: without its training heads, in half precision, under ``unveil:NAME``.

Only models that were trained on the synthetic world may be shipped.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from unveil.models.checkpoint import load_model, write_model
from unveil.models.without_heads import without_heads
from unveil.shipped import FOLDER


def main() -> None:
    """Run the script."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path, help="folder of a run, or its model.safetensors")
    parser.add_argument("name")
    parser.add_argument("--trained-on", required=True, help="for its card, for example 'world:default?seed=1'")
    parser.add_argument("--out", type=Path, default=FOLDER)
    asked = parser.parse_args()
    tensors, card = without_heads(load_model(asked.run))
    licence = f"Apache-2.0; trained on synthetic people only: {asked.trained_on}"
    # Paths of the machine that trained it say nothing elsewhere.
    recipe = {**card.recipe, "data": {}, "backbone": {**card.recipe["backbone"], "init": None}}
    card = card.model_copy(update={"licence": licence, "recipe": recipe})
    card = write_model(asked.out / f"{asked.name}.safetensors", tensors, card)
    print(f"unveil:{asked.name}, fingerprint {card.fingerprint}")


if __name__ == "__main__":
    main()
