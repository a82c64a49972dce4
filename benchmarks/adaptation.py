"""What adapting to unlabelled crops gains, on real people and on rendered ones.

    python benchmarks/adaptation.py MODEL DATA --test viper [--splits 3] [--out benchmarks/results/adaptation.csv]
    python benchmarks/adaptation.py MODEL DATA --test towncentre [--ways stages,floor,ceiling]
    python benchmarks/adaptation.py MODEL "world:default?seed=1" --test world --splits 1 --crops 2000
    python benchmarks/adaptation.py --table benchmarks/results/adaptation.csv

DATA is a folder with the manifests ``viper``, ``3dpes``, ``sarc3d`` and ``towncentre``, or a world. No label is used
but to measure:

- viper: adapted on the training half of VIPeR with some crops of the three other sets, each a camera of its own;
  camera 1 of the test half searches in camera 2;
- world: adapted on tracklets of the training people of a world, tested by its protocols on its test people, whose
  cameras are others;
- towncentre: adapted on half of the tracks; of each other track one half finds the other among those of all tracks.

Ways: "quick" (nothing, statistics, both with whitening), "whitening" (that alone), "stages" (all; without whitening;
clusters alone), "floor" (plain fine-tuning on pseudo-labels: no cameras, no mean teacher), "ceiling" (the same training
with the true people for clusters, without whitening). A row is written as soon as it is measured. Its grouping and
pairs are those of the command; "floor" and "ceiling" have their own.
"""

from __future__ import annotations

import argparse
import dataclasses
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import torch

from csv_rows import measured_on, read_rows, write_rows
from unveil.adaptation.acceptance import make_test
from unveil.adaptation.adapt import adapt
from unveil.adaptation.crops import UnlabelledCrops
from unveil.adaptation.groups.links import FeedbackPair
from unveil.adaptation.settings import AdaptSettings
from unveil.adaptation.task import embed_as_used
from unveil.cli.allocator import keep_freed_memory
from unveil.datasets import load_dataset
from unveil.evaluation.distances import distance_matrix
from unveil.models.checkpoint import TrainedModel, load_model
from unveil.models.evaluate import evaluate_model
from unveil.progress import show_progress
from unveil.recipe import DataSource
from unveil.records import Dataset, Sample

Measure = Callable[[TrainedModel], dict[str, tuple[float, float]]]  # Rank-1 and mAP in percent, by protocol
# Of a row: whatever changes what is measured.
KEY = ("model", "data", "test", "split", "way", "crops", "epochs", "grouping", "pairs", "threads")
SURE = 0.01  # pairs a crop at which hardly anything is joined but what is known to be one person


@dataclasses.dataclass(frozen=True)
class Task:
    """One split of a test: its source, what is learnt from, its people by key of feedback, how a model is measured."""

    data: str
    split: int
    datasets: list[Dataset]
    people: dict[str, str]
    measure: Measure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?")
    parser.add_argument("data", nargs="?")
    parser.add_argument("--test", choices=tuple(TESTS), default="viper")
    parser.add_argument("--ways", default="quick,stages")
    parser.add_argument("--splits", default="3", help="how many, or a range such as 3-9")
    parser.add_argument("--epochs", type=int, default=AdaptSettings.epochs)
    parser.add_argument("--grouping", choices=("surest", "jaccard"), default=AdaptSettings.grouping)
    parser.add_argument("--pairs", type=float, default=AdaptSettings.pairs)
    parser.add_argument("--apart", action="store_true", help="nobody is in two of the sets, which are of other towns")
    parser.add_argument("--crops", type=int, default=1200, help="crops to learn from")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--table", type=Path)
    args = parser.parse_args()
    if args.table:
        print_table(args.table)
        return
    show_progress(on=False)
    keep_freed_memory()
    torch.set_num_threads(args.threads)
    model = load_model(args.model)
    settings = AdaptSettings(
        epochs=args.epochs, grouping=args.grouping, pairs=args.pairs, apart=args.apart, held_out=0.0
    )
    first, _, last = args.splits.rpartition("-")
    splits = range(int(first), int(last) + 1) if first else range(int(last))
    for split in splits:
        task = TESTS[args.test](model, args.data, split, args.crops, args.cache)
        for way in args.ways.split(","):
            row: dict[str, Any]
            for row in WAYS[way](model, task, settings, args.cache):
                row |= {"model": model.card.fingerprint, "start": model.card.started_from}
                row |= {"epochs": args.epochs, "grouping": args.grouping, "pairs": args.pairs, "threads": args.threads}
                row["way"] += ", places apart" if args.apart and row["crops"] else ""
                print(row, flush=True)
                if args.out:
                    write_rows(args.out, [row | measured_on()], key=KEY)


def quick(model: TrainedModel, task: Task, settings: AdaptSettings, cache: Path | None) -> Iterator[dict[str, object]]:
    """Measure the model as it is, after the statistics alone, and after what takes seconds as well."""
    yield from rows_of(task, "zero-shot", task.measure(model), 0, 0.0)
    adapted, seconds, crops = timed(
        model, task, dataclasses.replace(settings, stages=("statistics", "whitening")), cache
    )
    yield from rows_of(task, "statistics and whitening", task.measure(adapted), crops, seconds)
    adapted.method.whitening = None  # is measured last: the statistics are what they would be without
    yield from rows_of(task, "statistics", task.measure(adapted), crops, seconds)


def whitening(
    model: TrainedModel, task: Task, settings: AdaptSettings, cache: Path | None
) -> Iterator[dict[str, object]]:
    """Measure whitening without statistics."""
    adapted, seconds, crops = timed(model, task, dataclasses.replace(settings, stages=("whitening",)), cache)
    yield from rows_of(task, "whitening", task.measure(adapted), crops, seconds)


def stages(model: TrainedModel, task: Task, settings: AdaptSettings, cache: Path | None) -> Iterator[dict[str, object]]:
    """Measure all stages, and the same without what the seconds bring: one training tells all of them."""
    adapted, seconds, crops = timed(model, task, settings, cache)
    yield from rows_of(task, "all", task.measure(adapted), crops, seconds)
    adapted.method.whitening = None
    yield from rows_of(task, "both", task.measure(adapted), crops, seconds)
    alone = dataclasses.replace(adapted, camera_statistics=None)
    yield from rows_of(task, "clusters", task.measure(alone), crops, seconds)


def floor(model: TrainedModel, task: Task, settings: AdaptSettings, cache: Path | None) -> Iterator[dict[str, object]]:
    """Measure fine-tuning on pseudo-labels without cameras and without a mean teacher."""
    bare = [without_cameras(dataset) for dataset in task.datasets]
    plain = dataclasses.replace(settings, stages=("clusters",), grouping="jaccard", neighbours=6, teacher=0.0)
    adapted, seconds, crops = timed(model, dataclasses.replace(task, datasets=bare), plain, cache)
    yield from rows_of(task, "floor: plain pseudo-labels", task.measure(adapted), crops, seconds)


def ceiling(
    model: TrainedModel, task: Task, settings: AdaptSettings, cache: Path | None
) -> Iterator[dict[str, object]]:
    """Measure the same training with the true people in place of clusters."""
    keys: dict[str, list[str]] = defaultdict(list)
    for key, person in task.people.items():
        keys[person].append(key)
    pairs = [FeedbackPair(a, b, True, p) for p, own in keys.items() for a, b in combinations(own, 2)]
    known = dataclasses.replace(settings, pairs=SURE, stages=("statistics", "tracklets", "clusters"))
    adapted, seconds, crops = timed(model, task, known, cache, feedback=pairs)
    yield from rows_of(task, "ceiling: supervised", task.measure(adapted), crops, seconds)


WAYS = {"quick": quick, "whitening": whitening, "stages": stages, "floor": floor, "ceiling": ceiling}


def timed(
    model: TrainedModel, task: Task, settings: AdaptSettings, cache: Path | None, feedback: Sequence[FeedbackPair] = ()
) -> tuple[TrainedModel, float, int]:
    """Return the adapted model, how many seconds it took, and how many crops there were."""
    with tempfile.TemporaryDirectory() as folder:
        began = time.monotonic()
        adapted = adapt(
            model, task.datasets, out=Path(folder), settings=settings, feedback=feedback, cache=cache, keep_worse=True
        )
        seconds = time.monotonic() - began
    told = adapted.card.adaptation
    return adapted, seconds, sum(source.images for source in told.data) if told else 0


def world(model: TrainedModel, data: str, split: int, crops: int, cache: Path | None) -> Task:
    """Return tracklets of a world's training people to learn from; its protocols measure on its test people."""
    whole = load_dataset(DataSource.of(data))
    drawn: list[Sample] = []
    by_tracklet: dict[tuple[str | None, str | None], list[Sample]] = defaultdict(list)
    for sample in whole.train:
        by_tracklet[sample.camera, sample.tracklet].append(sample)
    for number in np.random.default_rng(split).permutation(len(by_tracklet)):
        if len(drawn) < crops:
            drawn += list(by_tracklet.values())[number]
    learnt = [Dataset("world", tuple(dataclasses.replace(s, split=None, person=None, clothes=None) for s in drawn))]

    def measure(one: TrainedModel) -> dict[str, tuple[float, float]]:
        results = evaluate_model(one, [DataSource.of(data)], cache=cache)
        return {found.protocol: (100 * found.cmc[1], 100 * found.mean_ap) for found in results}

    return Task(str(DataSource.of(data)), split, learnt, {f"0/{s.key}": str(s.person) for s in drawn}, measure)


def viper(model: TrainedModel, data: str, split: int, crops: int, cache: Path | None) -> Task:
    """Return a split of VIPeR: its training half and crops of other sets to learn from, its test half to measure."""
    root = Path(data)
    whole = load_dataset(DataSource.of(f"viper:{root / 'viper'}?split={split}"))
    train = [s for s in whole.samples if s.split == "train"]
    rng = np.random.default_rng(split)
    each = max(0, crops - len(train)) // 3
    others = [
        drawn(load_dataset(DataSource(name="manifest", root=root / n)), n, each, rng) for n in ("3dpes", "sarc3d")
    ]
    town = drawn(tracks(root), "towncentre", each, rng)
    learnt = [Dataset("viper", tuple(dataclasses.replace(s, split=None, person=None) for s in train)), *others, town]
    test = [dataclasses.replace(s, split=None) for s in whole.samples if s.split != "train"]
    queries = {s.key for s in whole.samples if s.split == "query"}
    opened = UnlabelledCrops.open([Dataset("test", tuple(test))], model.crop_size, per_tracklet=8, cache=cache)
    keys = [opened.store.samples[row].key.partition("/")[2] for row in opened.rows]
    person = {s.key: s.person for s in test}
    labels = np.array([person[key] for key in keys])
    asked = np.array([key in queries for key in keys])

    def measure(one: TrainedModel) -> dict[str, tuple[float, float]]:
        found = embed_as_used(one, opened)
        distances = distance_matrix(found.select(asked), found.select(~asked))
        own = np.array([distances[i, labels[~asked] == who].min() for i, who in enumerate(labels[asked])])
        ranks = 1 + (distances < own[:, None]).sum(axis=1)
        return {"viper": (100 * float((ranks == 1).mean()), 100 * float((1 / ranks).mean()))}

    return Task(
        "viper, 3dpes, sarc3d, towncentre", split, learnt, {f"0/{s.key}": str(s.person) for s in train}, measure
    )


def towncentre(model: TrainedModel, data: str, split: int, crops: int, cache: Path | None) -> Task:
    """Return half of TownCentre's tracks to learn from; the halves of the others are searched among those of all."""
    dataset = tracks(Path(data))
    names = np.unique([str(s.tracklet) for s in dataset.samples])
    learnt = set(np.random.default_rng(split).permutation(names)[: len(names) // 2].tolist())
    part = Dataset("towncentre", tuple(s for s in dataset.samples if s.tracklet in learnt))
    opened = UnlabelledCrops.open([dataset], model.crop_size, per_tracklet=8, cache=cache)
    test = make_test(opened)
    if test is None:
        raise SystemExit("towncentre has too few tracks")
    test = dataclasses.replace(test, rivals=np.ones_like(test.rivals))
    tested = opened.select(test.crops)
    label = {unit: str(opened.store.samples[row].tracklet) for unit, row in zip(opened.units, opened.rows, strict=True)}
    units = [u for u in np.unique(opened.units) if (opened.units == u).sum() >= 2]
    unseen = np.array([label[u].rpartition("/")[2] not in learnt for u in units])

    def measure(one: TrainedModel) -> dict[str, tuple[float, float]]:
        right, reciprocal = test.answers(embed_as_used(one, tested))
        return {"towncentre": (100 * float(right[unseen].mean()), 100 * float(reciprocal[unseen].mean()))}

    # Crops of a track are one person already: there is nothing more to tell a supervised training.
    return Task("towncentre", split, [part], {}, measure)


TESTS = {"viper": viper, "towncentre": towncentre, "world": world}


def tracks(data: Path) -> Dataset:
    """Return TownCentre with its tracks as tracklets, their people unnamed."""
    dataset = load_dataset(DataSource(name="manifest", root=data / "towncentre"))
    return Dataset("towncentre", tuple(
        dataclasses.replace(
            s, person=None, tracklet=s.person, camera="towncentre", time=float(s.extra["frame"]), extra={}
        )
        for s in dataset.samples
    ))  # fmt: skip


def drawn(dataset: Dataset, camera: str, count: int, rng: np.random.Generator) -> Dataset:
    """Return some crops of a dataset without their people, all of one place that stands for a camera."""
    picked = sorted(rng.permutation(len(dataset.samples))[:count].tolist())
    bare: list[Sample] = [
        dataclasses.replace(dataset.samples[i], person=None, tracklet=None, time=None, camera=camera) for i in picked
    ]
    return Dataset(camera, tuple(bare))


def without_cameras(dataset: Dataset) -> Dataset:
    """Return a dataset whose crops have no camera."""
    return Dataset(dataset.name, tuple(dataclasses.replace(s, camera=None) for s in dataset.samples))


def rows_of(
    task: Task, way: str, found: dict[str, tuple[float, float]], crops: int, seconds: float
) -> Iterator[dict[str, object]]:
    for protocol, (rank1, mean_ap) in found.items():
        yield {
            "data": task.data, "test": protocol, "split": task.split, "way": way, "rank1": f"{rank1:.2f}",
            "map": f"{mean_ap:.2f}", "crops": crops, "seconds": f"{seconds:.0f}",
        }  # fmt: skip


def print_table(path: Path) -> None:
    """Print the means over splits as a table in Markdown."""
    rows = read_rows(path)
    kinds = [name for name in KEY if name not in ("split", "threads")]
    titles = [*kinds, "splits", "Rank-1", "mAP", "seconds"]
    print(f"| {' | '.join(titles)} |\n|{'---|' * len(titles)}")
    for kind in dict.fromkeys(tuple(row[name] for name in kinds) for row in rows):
        own = [row for row in rows if tuple(row[name] for name in kinds) == kind]
        rank1, mean_ap, seconds = (np.mean([float(row[key]) for row in own]) for key in ("rank1", "map", "seconds"))
        print(f"| {' | '.join(kind)} | {len(own)} | {rank1:.1f} | {mean_ap:.1f} | {seconds:.0f} |")


if __name__ == "__main__":
    main()
