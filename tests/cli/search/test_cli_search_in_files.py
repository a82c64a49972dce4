"""``unveil search`` in a file of embeddings, with crops that have no file: their names came from elsewhere."""

from __future__ import annotations

import csv

import numpy as np
from typer.testing import CliRunner

from unveil.cli import app
from unveil.models.embeddings import EmbeddedCrops, save_embeddings
from unveil.records import Embedding, Sample


def test_a_name_is_no_formula_in_the_table(tmp_path):
    vectors = np.random.default_rng(0).normal(size=(3, 1, 4)).astype(np.float32)
    samples = tuple(Sample(f"={n}+1", data=b"x", person="+p", camera="gate") for n in range(3))
    embedding = Embedding(vectors, np.ones((3, 1), np.float32), ("global",), "euclidean")
    file, table = tmp_path / "crops.safetensors", tmp_path / "found.csv"
    save_embeddings(file, EmbeddedCrops(embedding, samples, "f"))
    answered = CliRunner().invoke(app, ["search", str(file), str(file), "--only", "=0", "--csv", str(table)])
    assert answered.exit_code == 0, answered.output
    rows = list(csv.DictReader(table.open()))
    assert {row["query"] for row in rows} == {"'=0+1"} and all(row["key"].startswith("'=") for row in rows)
    assert {(row["person"], row["camera"], row["path"]) for row in rows} == {("'+p", "gate", "")}
