"""How well models find people whom none of the package's networks has seen: real ones, and rendered ones of a seed.

    python benchmarks/real_people.py DATA unveil:dual [MODEL ...] [--also "world:small?seed=1"]
        [--out benchmarks/results/real_people.csv]

DATA is a folder with the manifests ``viper``, ``sarc3d`` and ``3dpes`` (any that are there are used). VIPeR is measured
on its ten splits; in the others the first crop of each person searches all the rest.
"""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

from csv_rows import measured_on, write_rows
from unveil.cli.allocator import keep_freed_memory
from unveil.data.readers.manifest import protocols_of
from unveil.datasets import load_dataset
from unveil.evaluation.evaluate import Result, evaluate
from unveil.inference.load import load_embedder
from unveil.models.embed import embed_samples
from unveil.models.embedder import Embedder
from unveil.models.evaluate import evaluate_model
from unveil.recipe import DataSource
from unveil.records import Dataset

SPLITS = 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("models", nargs="+")
    parser.add_argument("--also", nargs="*", default=[], help="sources that are measured under their own protocols")
    parser.add_argument("--out", type=Path, help="CSV to write, or to add to")
    args = parser.parse_args()
    keep_freed_memory()
    rows = []
    for name in args.models:
        model = load_embedder(name)
        for result in measured(model, args.data, args.also):
            rows.append(
                {
                    "model": name, "fingerprint": model.summary.fingerprint, "start": model.summary.start,
                    "data": result.dataset, "protocol": result.protocol, "queries": result.queries,
                    "rank1": f"{100 * result.cmc[1]:.1f}", "map": f"{100 * result.mean_ap:.1f}",
                    "rank1_std": f"{100 * result.std.get('cmc-1', 0):.1f}", **measured_on(),
                }
            )  # fmt: skip
            print(rows[-1], flush=True)
    if args.out:
        write_rows(args.out, rows, key=("fingerprint", "data", "protocol"))


def measured(model: Embedder, data: Path, also: list[str]) -> list[Result]:
    """Return the figures of a model on the sets that are there, and on other sources."""
    results = []
    if (data / "viper").is_dir():
        results += evaluate_model(model, [DataSource.of(f"viper:{data / 'viper'}?splits={SPLITS}")])
    for dataset in sets_of_one_query(data).values():
        embedding, store = embed_samples(model, dataset.samples)
        results.append(evaluate(embedding, store.samples, protocol=dataset.protocols[0], dataset=dataset))
    for source in also:
        results += evaluate_model(model, [DataSource.of(source)])
    return results


def sets_of_one_query(data: Path) -> dict[str, Dataset]:
    """Return, of those that are there, the sets in which the first crop of each person searches the rest."""
    there = [name for name in ("sarc3d", "3dpes") if (data / name / "manifest.csv").is_file()]
    return {name: first_searches_rest(load_dataset(DataSource(name="manifest", root=data / name))) for name in there}


def first_searches_rest(dataset: Dataset) -> Dataset:
    """Return a dataset whose query is the first crop of everybody who has several, its gallery all the others."""
    persons = [sample.person for sample in dataset.samples]
    samples, met = [], set()
    for sample in dataset.samples:
        first = sample.person not in met and persons.count(sample.person) > 1
        met.add(sample.person)
        samples.append(dataclasses.replace(sample, split="query" if first else "gallery", camera=None))
    return dataclasses.replace(dataset, samples=tuple(samples), protocols=protocols_of(samples))


if __name__ == "__main__":
    main()
