"""Shards into a gallery: the rows that the same crops make when the gallery embeds them, and what is refused."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from command_line import refused, run
from generated import write_crops
from sharded import make_shards
from untrained import make_model
from unveil.data.readers.manifest import read_manifest
from unveil.gallery.records import Filter
from unveil.records import Dataset

pytest.importorskip("pyarrow", reason="the extra ray is not installed")


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    return make_model(tmp_path_factory.mktemp("model"), height=64, width=32)


@pytest.fixture
def dataset(tmp_path) -> Dataset:
    """36 crops of 6 people with times; those of the first camera are tracklets."""
    found = read_manifest(write_crops(tmp_path / "crops", people=6, test_people=2))
    samples = [
        replace(s, time=1.7e9 + n, tracklet=s.person if s.camera == "c0" else None, extra={"tags": "hall"})
        for n, s in enumerate(found.samples)
    ]
    return replace(found, samples=tuple(samples))


@pytest.fixture
def manifest(dataset, tmp_path) -> Path:
    """The same crops as a file."""
    lines = ["path,person,camera,clothes,time,tracklet,tags"]
    lines += [f"{s.key},{s.person},{s.camera},{s.clothes},{s.time},{s.tracklet or ''},hall" for s in dataset.samples]
    path = tmp_path / "crops/all.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture
def shards(dataset, model, tmp_path) -> Path:
    make_shards(tmp_path / "shards", dataset, model, 10)
    return tmp_path / "shards"


def rows(store, name):
    items = store.find(name, Filter(), limit=1000)
    _, embedding = store.embeddings(name, [item.id for item in items])
    return {item.key: (replace(item, id=None), embedding.select([row])) for row, item in enumerate(items)}


def test_shards_make_the_rows_that_their_crops_make(store, address, model, manifest, shards):
    words = ("--model", model, "--engine", "torch", "--store", address, "--json")
    (files,) = json.loads(run("gallery", "add", manifest, "--gallery", "files", *words).stdout)["added"]
    (first,) = json.loads(run("gallery", "add", shards, "--gallery", "shards", *words).stdout)["added"]
    assert (first["crops"], first["tracklets"], first["known"]) == (files["crops"], files["tracklets"], 0) == (36, 6, 0)
    (again,) = json.loads(run("gallery", "add", shards, "--gallery", "shards", *words).stdout)["added"]
    assert (again["crops"], again["tracklets"], again["known"]) == (0, 0, 36)
    one, other = rows(store, "files"), rows(store, "shards")
    assert one.keys() == other.keys()
    for key, (item, embedding) in one.items():
        found, vectors = other[key]
        assert found == item
        np.testing.assert_allclose(vectors.vectors, embedding.vectors, atol=2e-3, rtol=2e-3)
        np.testing.assert_array_equal(vectors.visibility, embedding.visibility)


def test_files_that_changed_or_went_are_listed_and_the_others_added(address, model, dataset, shards):
    changed, gone = dataset.samples[3].path, dataset.samples[20].path
    shutil.copy(dataset.samples[4].path, changed)
    gone.unlink()
    words = ("--model", model, "--engine", "torch", "--store", address, "--json")
    (added,) = json.loads(run("gallery", "add", shards, "--gallery", "g", *words, code=1).stdout)["added"]
    assert added["crops"] == 34
    assert sorted(added["bad"]) == sorted(
        [
            f"{changed}: not the file that was embedded: embed it again",
            f"{gone}: cannot be read: No such file or directory",
        ]
    )


def test_what_does_not_belong_to_the_gallery_is_refused(address, model, shards, tmp_path):
    other = make_model(tmp_path, seed=1, height=64, width=32)
    words = ("gallery", "add", shards, "--gallery", "g", "--engine", "torch", "--store", address)
    assert "name the model of the shards with --model" in refused(*words, "--model", other)
    run("gallery", "add", tmp_path / "crops/images", *words[3:], "--model", other)
    assert "use the gallery's model" in refused(*words, "--model", model)
    assert "--detector would do nothing" in refused(*words, "--model", model, "--detector", "x.json")
    last = sorted(shards.iterdir())[-1]
    last.write_bytes(last.read_bytes()[:-50])
    assert f"{last} is no shard of embeddings, or is damaged" in refused(*words, "--model", model)
    last.unlink()
    assert "1 of 4 shards are missing" in refused(*words, "--model", model)
