"""Measures the attributes that are told from the parser's maps, against what rendered people wear.

The rules are fitted on people of one seed and measured on those of another (``benchmarks/results/attributes.csv``):

    python benchmarks/attributes.py             # measure the rules of the package
    python benchmarks/attributes.py --fit       # print new rules for unveil.attributes.describe
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from csv_rows import measured_on, write_rows
from unveil.attributes.colours import NEAR, balanced
from unveil.attributes.describe import ANSWERS, RULES, describe, measures
from unveil.attributes.from_parser import maps_of
from unveil.attributes.records import COLOUR_NAMES, FILTERS, VALUES, Attributes, vote
from unveil.data.images import read_sample
from unveil.datasets.sources import crops_of
from unveil.parsing.default import default_parser
from unveil.records import Sample

RESULTS = Path(__file__).parent / "results" / "attributes.csv"
FIT, TEST = "world:small?seed=2", "world:small?seed=1"
LIGHT_HAIR, DARK_HAIR = ("blond", "fair", "grey", "white"), ("black", "dark", "brown", "chestnut")
MIN_AUC, MIN_ACCURACY = 0.8, 0.75  # what an attribute must reach to be a filter


@dataclass(frozen=True)
class Told:
    """A crop: what is worn, what is said of it, and the number that each rule went by."""

    sample: Sample
    attributes: Attributes
    numbers: Mapping[str, float]


def main() -> None:
    """Measure and write the table, or print rules."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fit", action="store_true", help="print rules fitted on the people of the first seed")
    parser.add_argument("--fit-on", default=FIT)
    parser.add_argument("--test-on", default=TEST)
    parser.add_argument("--count", type=int, default=2000, help="crops")
    args = parser.parse_args()
    if args.fit:
        told = read(args.fit_on, args.count)
        for name in RULES:
            print(f'    "{name}": ({", ".join(f"{number:.2f}" for number in fitted(*pairs(told, name)))}),')
        return
    told = read(args.test_on, args.count)
    rows = [row(name, told, "crop") for name in VALUES]
    tracks = by_tracklet(told)
    rows += [row(name, tracks, "tracklet") for name in VALUES]
    write_rows(RESULTS, [line | measured_on() for line in rows])
    for line in rows:
        print(*line.values())


def read(source: str, count: int) -> list[Told]:
    """Return at most ``count`` crops of a world, drawn with a fixed seed, with what is said of them."""
    samples = crops_of(source).samples
    order = sorted(np.random.default_rng(0).permutation(len(samples))[:count])
    tool, out = default_parser(1), []
    for start in range(0, len(order), 64):
        some = [samples[i] for i in order[start : start + 64]]
        images = [read_sample(sample) for sample in some]
        for sample, maps in zip(some, maps_of(images, tool.parse(images)), strict=True):
            assert maps is not None  # the package's parser makes all label sets
            numbers = {n: v for n, (v, _) in measures(maps, balanced(maps.image, maps.pascal7 == 0)).items()}
            out.append(Told(sample, describe(maps), numbers))
    return out


def by_tracklet(told: list[Told]) -> list[Told]:
    """Return one entry a tracklet, by the vote of its crops."""
    groups: dict[str | None, list[Told]] = {}
    for one in told:
        groups.setdefault(one.sample.tracklet, []).append(one)
    return [
        Told(group[0].sample, vote([(one.attributes, 1.0) for one in group]), {})
        for group in groups.values()
        if len(group) > 1
    ]


def truth(name: str, worn: Mapping[str, str]) -> tuple[str, ...]:
    """Return the values of an attribute that are right for what is worn; none where nothing is."""
    if name == "upper-colour":
        dress = worn["bottom_colour"] if worn["bottom"] == "dress" else worn["top_colour"]
        return (dress,) if worn["outer"] == "none" else (worn["outer_colour"], dress)
    if name == "lower-colour":
        return (worn["bottom_colour"],)
    if name == "hair":
        return ("light",) * (worn["hair_colour"] in LIGHT_HAIR) + ("dark",) * (worn["hair_colour"] in DARK_HAIR)
    above, below = ANSWERS[name]
    right = {
        "jacket": worn["outer"] != "none",
        "sleeves": worn["sleeves"] != "long" and worn["outer"] in ("none", "vest"),
        "skirt": worn["bottom"] in ("skirt", "dress"),
        "legs": worn["bottom"] in ("shorts", "skirt", "dress"),
        "bag": worn["bag"] != "none",
        "hat": worn["hat"] != "none",
    }[name]
    return (above,) if right else (below,)


def pairs(told: list[Told], name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the numbers of a rule ``(N,)`` and whether its first answer is right ``(N,)``."""
    known = [(one.numbers[name], truth(name, one.sample.extra)) for one in told if name in one.numbers]
    known = [(number, right) for number, right in known if right]
    return np.array([n for n, _ in known]), np.array([ANSWERS[name][0] in right for _, right in known])


def fitted(numbers: np.ndarray, right: np.ndarray) -> tuple[float, float]:
    """Return weight and bias of a logistic rule by Newton's method; both answers count alike, however rare."""
    share = np.where(right, 0.5 / right.mean(), 0.5 / (1 - right.mean()))
    inputs = np.stack([numbers, np.ones_like(numbers)], 1)
    rule = np.zeros(2)
    for _ in range(50):
        sure = 1 / (1 + np.exp(-inputs @ rule))
        slope = inputs.T @ (share * (right - sure)) - 1e-3 * rule
        bend = (inputs * (share * sure * (1 - sure))[:, None]).T @ inputs + 1e-3 * np.eye(2)
        rule = rule + np.linalg.solve(bend, slope)
    return float(rule[0]), float(rule[1])


def row(name: str, told: list[Told], of: str) -> dict[str, object]:
    """Return a row of the table."""
    known = [(one.attributes.get(name), truth(name, one.sample.extra)) for one in told]
    known = [(found, right) for found, right in known if right]
    seen = [(found, right) for found, right in known if found is not None]
    line: dict[str, object] = {
        "attribute": name,
        "of": of,
        "count": len(known),
        "seen": f"{len(seen) / len(known):.3f}",
    }
    exact = np.array([found.main[0] in right for found, right in seen])
    if name in COLOUR_NAMES:
        near = np.array([bool({found.main[0], *NEAR[found.main[0]]} & set(right)) for found, right in seen])
        told = {"accuracy": f"{exact.mean():.3f}", "near": f"{near.mean():.3f}", "auc": "", "positives": ""}
        return line | told | {"reached": near.mean() >= MIN_ACCURACY, "filter": name in FILTERS}
    above = ANSWERS[name][0]
    positive = np.array([above in right for _, right in seen])
    both = (exact[positive].mean() + exact[~positive].mean()) / 2
    area = auc(np.array([found.values.get(above, 0.0) for found, _ in seen]), positive)
    told = {"accuracy": f"{both:.3f}", "near": "", "auc": f"{area:.3f}", "positives": f"{positive.mean():.3f}"}
    return line | told | {"reached": area >= MIN_AUC and both >= MIN_ACCURACY, "filter": name in FILTERS}


def auc(numbers: np.ndarray, positive: np.ndarray) -> float:
    """Return the area under the ROC curve: how often a positive has the greater number; equal ones count half."""
    more = numbers[positive][:, None] - numbers[~positive]
    return float(((more > 0) + 0.5 * (more == 0)).mean())


if __name__ == "__main__":
    main()
