"""How well a parser does on the test people of a world: IoU in every label set, error of the visible shares.

    python benchmarks/parser_accuracy.py [--crops 600] [--sheet sheet.jpg] [--out results.csv]

The shipped file is run by the code that users run, at the crops' own size; no person and no camera is one of training.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from csv_rows import measured_on, write_rows
from unveil.data.images import read_labels, read_sample
from unveil.datasets import load_dataset
from unveil.label_sets import LIP20, SCHEMES
from unveil.parsing.default import DEFAULT_CARD
from unveil.parsing.measure import class_iou, confusion
from unveil.parsing.onnx_parser import OnnxParser
from unveil.parsing.sheet import beside, write_grid
from unveil.progress import show_progress, track
from unveil.recipe import DataSource
from unveil.records import Sample
from unveil.world import labels as world
from unveil.world.shares import SHARES, pab_shares, world_shares

NAMES = tuple(name for name in world.SCHEMES if name in SCHEMES)


def measure(parser: OnnxParser, samples: tuple[Sample, ...]) -> dict[str, dict[str, float]]:
    """Return the IoU of each label of each label set, and the mean absolute error of each share."""
    counts = {name: np.zeros((len(SCHEMES[name].labels),) * 2, np.int64) for name in NAMES}
    truth, found = [], []
    for start in track(range(0, len(samples), 16), "measuring"):
        some = samples[start : start + 16]
        maps, shares = parser.look([read_sample(sample) for sample in some])
        found.append(shares)
        truth += [world_shares(sample.extra) for sample in some]
        for sample, labels in zip(some, maps, strict=True):
            assert sample.parsing is not None
            true = read_labels(sample.parsing)
            for name, matrix in counts.items():
                matrix += confusion(world.table(name)[true], world.table(name)[labels], labels=len(matrix))
    error = np.nanmean(np.abs(pab_shares(np.stack(truth)) - np.concatenate(found)), axis=0)
    ious = {name: dict(zip(SCHEMES[name].labels, class_iou(m).tolist(), strict=True)) for name, m in counts.items()}
    return ious | {"share error": dict(zip(SHARES, error.tolist(), strict=True))}


def rows_of(figures: dict[str, dict[str, float]], crops: int) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    for name, values in figures.items():
        known = {label: value for label, value in values.items() if np.isfinite(value)}
        for label, value in {"mean": float(np.mean(list(known.values()))), **known}.items():
            measured = "mean absolute error" if name == "share error" else "IoU"
            rows.append({"what": name, "label": label, "IoU": "", "mean absolute error": "", measured: round(value, 4)})
    return [row | {"crops": crops} for row in rows]


def draw(parser: OnnxParser, samples: tuple[Sample, ...], out: Path) -> None:
    """Write crops with their true and their predicted LIP-20 map."""
    cells = []
    for sample in samples:
        assert sample.parsing is not None
        image = read_sample(sample)
        true = world.table("lip20")[read_labels(sample.parsing)]
        cells.append(beside(image, [true, parser([image])[0]], scheme=LIP20))
    write_grid(cells, out, columns=6)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="world:default", help="a world")
    parser.add_argument("--card", type=Path, default=DEFAULT_CARD, help="card of a parser that answers world labels")
    parser.add_argument("--crops", type=int, default=600, help="so many, spread evenly over the test people")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--sheet", type=Path, help="image to write")
    parser.add_argument("--out", type=Path, help="CSV to write, or to add to")
    args = parser.parse_args()
    show_progress()
    name, _, options = args.data.partition("?")
    data = load_dataset(DataSource.model_validate(f"{name}?{'&'.join(filter(None, (options, 'scheme=world')))}"))
    test = data.query + data.gallery
    samples = tuple(test[round(i)] for i in np.linspace(0, len(test) - 1, min(args.crops, len(test))))
    used = OnnxParser(args.card, args.threads)
    figures = measure(used, samples)
    print(json.dumps({name: {k: round(v, 4) for k, v in values.items()} for name, values in figures.items()}, indent=1))
    if args.sheet:
        draw(used, samples[:: max(1, len(samples) // 36)][:24], args.sheet)
    if args.out:
        told = {"data": args.data, "parser": used.fingerprint}
        rows = [told | row | measured_on() for row in rows_of(figures, len(samples))]
        write_rows(args.out, rows, key=(*told, "what", "label"))


if __name__ == "__main__":
    main()
