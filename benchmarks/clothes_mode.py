"""How much the parts that clothes cover should count: figures of a model with parts for several factors.

    python benchmarks/clothes_mode.py MODEL [--data world:small] [--out benchmarks/results/clothes_mode.csv]

The factor is `unveil.gallery.scoring.ranking.CHANGED_CLOTHES`.
"world-sc" are queries whose answers wear the same clothes,
"world-cc" those whose answers wear others.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from csv_rows import measured_on, write_rows
from unveil.evaluation.evaluate import evaluate, evaluation_samples
from unveil.gallery.scoring.ranking import clothed, mode_counts
from unveil.models.checkpoint import load_model
from unveil.models.embed import embed_samples
from unveil.models.evaluate import test_set
from unveil.recipe import DataSource

FACTORS = (0.0, 0.1, 0.25, 0.5, 0.75, 1.0, 1.5)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--data", default="world:small")
    parser.add_argument("--protocols", default="world-sc,world-cc")
    parser.add_argument("--out", type=Path, help="CSV to add rows to")
    args = parser.parse_args()
    model = load_model(args.model)
    (dataset, *_), protocols = test_set(DataSource.model_validate(args.data), args.protocols.split(","))
    embedding, store = embed_samples(model, evaluation_samples(dataset), scheme=dataset.parsing_scheme)
    if not mode_counts(embedding.names):
        raise SystemExit(f"vectors {embedding.names}: nothing for a mode to weigh")
    rows = []
    for factor in FACTORS:
        weights = tuple(
            w * (factor if clothed(name) else 1) for name, w in zip(embedding.names, embedding.weights, strict=True)
        )
        for protocol in protocols:
            result = evaluate(replace(embedding, weights=weights), store.samples, protocol=protocol, dataset=dataset)
            rows.append(
                {
                    "method": model.recipe.method.name, "fingerprint": model.card.fingerprint,
                    "start": model.card.started_from,
                    "trained_on": " ".join(s.name for s in model.card.data), "epochs": model.card.epoch,
                    "data": args.data, "protocol": protocol.name, "factor": factor,
                    "rank1": f"{100 * result.curve[0]:.2f}", "map": f"{100 * result.mean_ap:.2f}", **measured_on(),
                }
            )  # fmt: skip
            print(rows[-1])
    if args.out:
        write_rows(args.out, rows, key=("fingerprint", "data", "protocol", "factor"))


if __name__ == "__main__":
    main()
