"""Write the weighted mean of a trained run and of the model that it went on from (Wortsman et al., CVPR 2022).

    python scripts/mix_weights.py RUN MODEL --share 0.6 --out runs/mixed

Tensors that the two do not share, as the classifiers of other people, are those of the run.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from unveil.models.checkpoint import NAME, load_model, write_model


def main() -> None:
    """Run the script."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("run", type=Path, help="folder of a run")
    asked.add_argument("model", help="what it went on from: a folder, a file, or unveil:NAME")
    asked.add_argument("--share", type=float, required=True, help="of the run, in [0, 1]")
    asked.add_argument("--out", type=Path, required=True, help="folder for the mean")
    options = asked.parse_args()
    if not 0 <= options.share <= 1:
        asked.error("--share: expected 0 to 1")
    run = load_model(options.run)
    tensors, before = run.method.state_dict(), load_model(options.model).method.state_dict()
    shared = [k for k, t in tensors.items() if t.is_floating_point() and k in before and before[k].shape == t.shape]
    for key in shared:
        tensors[key] = (options.share * tensors[key] + (1 - options.share) * before[key]).contiguous()
    options.out.mkdir(parents=True, exist_ok=True)
    card = write_model(options.out / NAME, tensors, card=run.card)
    print(f"{len(shared)} of {len(tensors)} tensors are means; fingerprint {card.fingerprint}")


if __name__ == "__main__":
    main()
