"""Folders of shards as actors write them, made in this process."""

from __future__ import annotations

from pathlib import Path

from unveil.bulk.plan import divided, plan_of
from unveil.bulk.worker import Job, ShardEmbedder, packed
from unveil.inference.load import load_embedder
from unveil.records import Dataset


def make_shards(folder: Path, dataset: Dataset, model: Path, size: int) -> list[dict]:
    """Embed a dataset into shards of so many crops; return what came of each."""
    units = divided(dataset.samples, size)
    summary = load_embedder(model, "torch", device="cpu").summary
    plan = plan_of(dataset.samples, units, model=summary, source=f"{dataset.name}#{dataset.hash}")
    embedder = ShardEmbedder(Job(plan, folder, str(model), "auto", "cpu", 1, dataset.parsing_scheme))
    return [embedder(packed(dataset.samples, rows, number=number)) for number, rows in enumerate(units)]
