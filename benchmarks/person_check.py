"""Measures the person check of the package's parser: drawn noise and textures, and crops of people.

``--fit`` fits the rule of the parser's card anew, on textures and rendered people alone; run it after a new parser.
Results go to ``benchmarks/results/person_check.csv``.
"""

from __future__ import annotations

import argparse
import csv
import json
from pathlib import Path

import numpy as np

from unveil.data.images import read_sample
from unveil.datasets.sources import crops_of
from unveil.gallery.search.query import NoPersonDetectedError, check_people
from unveil.parsing.default import DEFAULT_CARD, default_parser
from unveil.parsing.no_people import without_people
from unveil.parsing.person_check import FEATURES, person_features

RESULTS = Path(__file__).parent / "results" / "person_check.csv"
FIT_SEED, TEST_SEED = 0, 1
RIDGE = 1e-3


def main() -> None:
    """Fit if asked, then measure and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("people", nargs="+", help="sources of crops of people: world:small, folder:..., a manifest ...")
    parser.add_argument("--fit", metavar="WORLD", help="fit on these rendered crops and write the card")
    parser.add_argument("--count", type=int, default=500, help="textures, and at most so many crops of each source")
    parser.add_argument("--threshold", type=float, default=-1.0, help="lowest logit of a person, for --fit")
    args = parser.parse_args()
    if args.fit:
        fit(args.fit, args.count, args.threshold)
    tool = default_parser(1)
    rows = []
    textures = [without_people(number, TEST_SEED)[1] for number in range(args.count)]
    rows.append(("noise and textures", args.count, passed(textures, tool)))
    for source in args.people:
        crops = some(source, args.count)
        rows.append((Path(source).name if "/" in source else source, len(crops), passed(crops, tool)))
    with RESULTS.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("crops", "count", "taken for people", "share", "parser"))
        for name, count, number in rows:
            writer.writerow((name, count, number, f"{number / count:.4f}", tool.fingerprint))
            print(f"{name}: {number} of {count} are taken for people ({number / count:.1%})")


def some(source: str, count: int) -> list[np.ndarray]:
    """Return at most ``count`` crops of a source, drawn with a fixed seed."""
    samples = crops_of(source).samples
    order = np.random.default_rng(0).permutation(len(samples))[:count]
    return [read_sample(samples[i]) for i in sorted(order)]


def passed(images: list[np.ndarray], tool: object) -> int:
    """Return how many images are taken for people, asked one by one as queries are."""
    count = 0
    for image in images:
        try:
            check_people([image], ["it"], tool)  # type: ignore[arg-type]
            count += 1
        except NoPersonDetectedError:
            pass
    return count


def fit(world: str, count: int, threshold: float) -> None:
    """Fit the logistic rule and write it into the card."""
    from scipy.optimize import minimize

    tool = default_parser(1)
    without = person_features([without_people(number, FIT_SEED)[1] for number in range(count)], tool)
    people = person_features(some(world, count), tool)
    rows, same = np.concatenate([without, people]), np.repeat([-1.0, 1.0], [len(without), len(people)])
    middle, spread = rows.mean(axis=0), np.maximum(rows.std(axis=0), 1e-9)
    inputs = (rows - middle) / spread

    def loss(w: np.ndarray) -> float:
        return float(np.logaddexp(0, -same * (inputs @ w[:-1] + w[-1])).mean() + RIDGE * (w[:-1] ** 2).sum())

    found = minimize(loss, np.zeros(len(FEATURES) + 1)).x
    weights = found[:-1] / spread
    card = DEFAULT_CARD
    told = json.loads(card.read_text())
    told["person_check"] = {
        "weights": {name: round(float(w), 5) for name, w in zip(FEATURES, weights, strict=True)},
        "bias": round(float(found[-1] - weights @ middle), 5),
        "threshold": threshold,
    }
    card.write_text(json.dumps(told) + "\n")


if __name__ == "__main__":
    main()
