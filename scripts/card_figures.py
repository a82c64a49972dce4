"""Put the figures of a shipped network into its card: rows of a CSV that name its fingerprint.

python scripts/card_figures.py dual benchmarks/results/real_people.csv
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

from safetensors.torch import load_file

from unveil.models.checkpoint import read_card_of, write_model
from unveil.pretrained import PREFIX, weights_path

KEPT = ("data", "protocol", "queries", "rank1", "map", "rank1_std")


def main() -> None:
    """Run the script."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("name")
    asked.add_argument("figures", nargs="+", type=Path)
    options = asked.parse_args()
    path = weights_path(f"{PREFIX}{options.name}")
    card = read_card_of(path)
    if card is None:
        raise SystemExit(f"{path} has no card")
    rows = [row for file in options.figures for row in csv.DictReader(file.open())]
    own = tuple(
        {key: row[key] for key in KEPT if row.get(key)} for row in rows if row["fingerprint"] == card.fingerprint
    )
    if not own:
        raise SystemExit(f"no row is of {card.fingerprint}")
    write_model(path, load_file(path), card=card.model_copy(update={"figures": own}))


if __name__ == "__main__":
    main()
