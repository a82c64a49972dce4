"""What adapting to unlabelled crops is worth on real people.

    python benchmarks/adaptation.py MODEL DATA [--splits 3] [--stages statistics] [--out CSV]

DATA is a folder with the manifests ``viper``, ``3dpes``, ``sarc3d`` and ``towncentre``. Two tests, without labels:

- viper: adapted on the training half of VIPeR with the three other sets, measured on the test half; mean of splits;
- towncentre: adapted on all tracks, one half of each of which finds the other among all tracks.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import tempfile
import time
from pathlib import Path

import numpy as np

from unveil.adaptation.adapt import adapt
from unveil.adaptation.clusters import embed_crops
from unveil.adaptation.crops import UnlabelledCrops
from unveil.adaptation.judge import make_test
from unveil.adaptation.settings import AdaptSettings
from unveil.datasets import load_dataset
from unveil.models.checkpoint import TrainedModel, load_model
from unveil.models.evaluate import evaluate_model
from unveil.progress import show_progress
from unveil.recipe import DataSource
from unveil.records import Dataset

OTHERS = ("3dpes", "sarc3d")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("data", type=Path)
    parser.add_argument("--splits", type=int, default=3)
    parser.add_argument("--stages", default="statistics,clusters")
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--tests", default="viper,towncentre")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    show_progress(False)
    settings = AdaptSettings(stages=tuple(args.stages.split(",")), epochs=args.epochs, held_out=0.0)
    model, rows = load_model(args.model), []
    if "viper" in args.tests:
        rows.append(on_viper(model, args.data, settings, args.splits))
    if "towncentre" in args.tests:
        rows.append(on_towncentre(model, args.data, settings))
    for row in rows:
        row |= {"model": args.model, "stages": args.stages, "epochs": args.epochs}
        print(row)
    if args.out:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        new = not args.out.is_file()
        with args.out.open("a", newline="") as f:
            writer = csv.DictWriter(f, list(rows[0]), lineterminator="\n")
            if new:
                writer.writeheader()
            writer.writerows(rows)


def on_viper(model: TrainedModel, data: Path, settings: AdaptSettings, splits: int) -> dict[str, object]:
    """Return Rank-1 and mAP before and after, in percent, over splits of VIPeR."""
    others = [unnamed(load_dataset(DataSource(name="manifest", root=data / name)), name) for name in OTHERS]
    town = tracks(data)
    before, after, seconds = [], [], []
    for split in range(splits):
        source = DataSource.of(f"viper:{data / 'viper'}?split={split}")
        with tempfile.TemporaryDirectory() as folder:
            began = time.monotonic()
            adapted = adapt(model, [load_dataset(source), *others, town], Path(folder), settings)
            seconds.append(time.monotonic() - began)
        for found, one in ((before, model), (after, adapted)):
            result = evaluate_model(one, [source])[0]
            found.append((result.cmc[1], result.mean_ap))
        print(split, before[-1], after[-1], f"{seconds[-1]:.0f} s", flush=True)
    (rank1, mean_ap), (rank1_after, map_after) = 100 * np.mean(before, axis=0), 100 * np.mean(after, axis=0)
    return {
        "test": f"viper, {splits} splits", "crops": 632 + 1212 + len(town.samples),
        "rank1_before": f"{rank1:.1f}", "rank1_after": f"{rank1_after:.1f}",
        "map_before": f"{mean_ap:.1f}", "map_after": f"{map_after:.1f}", "seconds": f"{np.mean(seconds):.0f}",
    }  # fmt: skip


def on_towncentre(model: TrainedModel, data: Path, settings: AdaptSettings) -> dict[str, object]:
    """Return Rank-1 and mean reciprocal rank of halves of tracks among all tracks, before and after, in percent."""
    dataset = tracks(data)
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        adapted = adapt(model, [dataset], Path(folder), settings)
    seconds = time.monotonic() - began
    crops = UnlabelledCrops.open([dataset], model.crop_size, per_tracklet=settings.crops_per_tracklet)
    test = make_test(crops)
    if test is None:
        raise SystemExit("towncentre has too few tracks")
    test = dataclasses.replace(test, rivals=np.ones_like(test.rivals))
    tested = crops.select(test.crops)
    answers = [test.answers(embed_crops(m, tested, m.camera_statistics, flip=True)) for m in (model, adapted)]
    rank1, rank1_after = (100 * a[0].mean() for a in answers)
    mrr, mrr_after = (100 * a[1].mean() for a in answers)
    return {
        "test": f"towncentre, {len(test)} tracks", "crops": len(crops),
        "rank1_before": f"{rank1:.1f}", "rank1_after": f"{rank1_after:.1f}",
        "map_before": f"{mrr:.1f}", "map_after": f"{mrr_after:.1f}", "seconds": f"{seconds:.0f}",
    }  # fmt: skip


def tracks(data: Path) -> Dataset:
    """Return TownCentre with its tracks as tracklets, their people unnamed."""
    dataset = load_dataset(DataSource(name="manifest", root=data / "towncentre"))
    samples = tuple(
        dataclasses.replace(
            s, person=None, tracklet=s.person, camera="towncentre", time=float(s.extra["frame"]), extra={}
        )
        for s in dataset.samples
    )
    return dataclasses.replace(dataset, samples=samples)


def unnamed(dataset: Dataset, name: str) -> Dataset:
    """Return a dataset without its people, all of one place that stands for a camera."""
    samples = tuple(dataclasses.replace(s, person=None, tracklet=None, camera=name) for s in dataset.samples)
    return dataclasses.replace(dataset, samples=samples)


if __name__ == "__main__":
    main()
