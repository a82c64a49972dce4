"""What each kind of vector of the default network brings: figures with all of them, with one less, and with one alone.

    python benchmarks/vector_shares.py DATA [--model unveil:dual] [--also "world:small?seed=1"] [--out FILE.csv]

DATA is a folder with the manifests ``viper``, ``sarc3d`` and ``3dpes``, measured as `benchmarks/real_people.py` does.
The vectors are those of one embedding; only their weights differ.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np

from csv_rows import measured_on, write_rows
from real_people import SPLITS, sets_of_one_query
from unveil.cli.allocator import keep_freed_memory
from unveil.evaluation.evaluate import evaluate, evaluation_samples
from unveil.inference.load import load_embedder
from unveil.methods.dual import PARTS
from unveil.models.embed import embed_samples
from unveil.models.evaluate import test_set
from unveil.recipe import DataSource
from unveil.records import Dataset, Embedding, Protocol, Sample

Questions = list[tuple[Dataset, Protocol, tuple[Sample, ...]]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--model", default="unveil:dual")
    parser.add_argument("--also", nargs="*", default=["world:small?seed=1"], help="sources with their own protocols")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/vector_shares.csv"))
    args = parser.parse_args()
    keep_freed_memory()
    model = load_embedder(args.model)
    rows: list[dict[str, object]] = []
    for name, questions in sets(args.data, args.also).items():
        samples = {sample.key: sample for _, _, those in questions for sample in those}
        embedding, store = embed_samples(model, list(samples.values()))
        row_of = {sample.key: row for row, sample in enumerate(store.samples)}
        for what, weights in shares(embedding).items():
            weighted = replace(embedding, weights=weights)
            found: dict[str, list[tuple[float, float]]] = {}
            for dataset, protocol, those in questions:
                asked = weighted.select(np.array([row_of[sample.key] for sample in those]))
                result = evaluate(asked, those, protocol=protocol, dataset=dataset)
                found.setdefault(protocol.name, []).append((result.cmc[1], result.mean_ap))
            for protocol_name, figures in found.items():
                rank1, mean_ap = 100 * np.mean(figures, axis=0)
                rows.append(
                    {
                        "fingerprint": model.summary.fingerprint, "start": model.summary.start, "data": name,
                        "protocol": protocol_name, "vectors": what, "rank1": f"{rank1:.1f}", "map": f"{mean_ap:.1f}",
                        **measured_on(),
                    }
                )  # fmt: skip
                print(*(rows[-1][key] for key in ("data", "protocol", "vectors", "rank1", "map")), flush=True)
    write_rows(args.out, rows, key=("fingerprint", "data", "protocol", "vectors"))


def sets(data: Path, also: list[str]) -> dict[str, Questions]:
    """Return what is asked of each set that is there."""
    found: dict[str, Questions] = {}
    if (data / "viper").is_dir():
        splits, protocols = test_set(DataSource.of(f"viper:{data / 'viper'}?splits={SPLITS}"))
        found["viper"] = [(split, protocols[0], tuple(evaluation_samples(split))) for split in splits]
    for name, dataset in sets_of_one_query(data).items():
        found[name] = [(dataset, dataset.protocols[0], dataset.samples)]
    for source in also:
        (dataset, *_), protocols = test_set(DataSource.of(source))
        samples = tuple(evaluation_samples(dataset))
        found[source] = [(dataset, protocol, samples) for protocol in protocols]
    return found


def shares(embedding: Embedding) -> dict[str, tuple[float, ...]]:
    """Return the weights of all vectors, of all but one kind, and of one kind alone."""
    assert embedding.weights is not None
    weights = tuple(map(float, embedding.weights))
    kinds = {name: ("parts" if name in PARTS else name) for name in embedding.names}
    found = {"all": weights}
    for kind in dict.fromkeys(kinds.values()):
        chosen = [kinds[name] == kind for name in embedding.names]
        found[f"without {kind}"] = tuple(0.0 if one else w for w, one in zip(weights, chosen, strict=True))
        found[f"{kind} alone"] = tuple(w if one else 0.0 for w, one in zip(weights, chosen, strict=True))
    return found


if __name__ == "__main__":
    main()
