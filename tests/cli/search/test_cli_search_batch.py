"""``unveil search`` with a folder of crops, each a query of its own, in several galleries, and re-ranked."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
from PIL import Image

from generated import write_crops
from own_postgres import NewDatabase
from untrained import make_model
from unveil.cli import main
from unveil.data.readers.manifest import read_manifest
from unveil.gallery.ingest.images import ImageSettings, add_images
from unveil.gallery.store.opening import open_store
from unveil.inference.backends.pytorch import torch_engine
from unveil.models.checkpoint import load_model


@pytest.fixture(scope="session")
def server(new_database: NewDatabase) -> str:
    """Address of a store for the tests of this file."""
    return new_database(True)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return make_model(tmp_path_factory.mktemp("model"), "pcb", height=64, width=32)


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    """24 crops of 4 people from 2 cameras."""
    return write_crops(tmp_path_factory.mktemp("crops"), 4, 2)


@pytest.fixture(scope="module")
def galleries(server, model, manifest):
    """Two galleries of one model with a camera each."""
    samples = read_manifest(manifest).samples
    with_store = open_store(server)
    for name, camera in (("shop", "c0"), ("yard", "c1")):
        crops = [sample for sample in samples if sample.camera == camera]
        settings = ImageSettings(start_time=1.7e9)
        add_images(with_store, name, engine=torch_engine(load_model(model)), samples=crops, settings=settings)
    yield with_store
    with_store.close()


@pytest.fixture
def run(server, galleries, model, monkeypatch, capsys):
    def search(*words: object, code: int = 0) -> tuple[str, str]:
        more = ("--store", server, "--engine", "torch", "--model", model, "--skip-person-check")
        monkeypatch.setattr("sys.argv", ["unveil", "--quiet", "search", *map(str, words), *map(str, more)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            main()
        out, err = capsys.readouterr()
        assert (end.value.code or 0) == code, out + err
        return out, " ".join(err.split())

    return search


@pytest.fixture
def folder(tmp_path, manifest):
    """One crop of each person, a file that is no image, and nothing else."""
    made = tmp_path / "queries"
    made.mkdir()
    for person in range(4):
        (made / f"p{person:02d}.png").write_bytes((manifest.parent / f"images/p{person:02d}_c0_1.png").read_bytes())
    return made


def test_each_crop_of_a_folder_gets_an_answer_and_an_entry_of_its_own(run, folder, galleries, tmp_path):
    table = tmp_path / "all.csv"
    before = len(list(galleries.entries("shop")))
    told = json.loads(run(folder, "shop", "--each", "--json", "--top", 3, "--why", "list", "--csv", table)[0])
    assert [answer["query"].removesuffix(".png")[-3:] for answer in told] == [f"p{n:02d}" for n in range(4)]
    for n, answer in enumerate(told):
        assert [hit["rank"] for hit in answer["hits"]] == [1, 2, 3]
        assert answer["hits"][0]["person"] == f"p{n:02d}" and answer["hits"][0]["distance"] < 1e-3
    entries = list(galleries.entries("shop"))[before:]
    assert [e["query"] for e in entries] == [answer["galleries"]["shop"]["query_hash"] for answer in told]
    assert {e["why"] for e in entries} == {"list"}
    rows = list(csv.DictReader(table.open()))
    assert [(r["query"], int(r["rank"]), int(r["id"])) for r in rows] == [
        (a["query"], h["rank"], h["id"]) for a in told for h in a["hits"]
    ]


def test_several_galleries_of_one_model_are_searched_as_one(run, manifest, galleries):
    picture = manifest.parent / "images/p02_c0_0.png"
    told = json.loads(run(picture, "shop", "--also", "yard", "--json", "--top", 24)[0])
    (answer,) = told
    assert {hit["gallery"] for hit in answer["hits"]} == {"shop", "yard"} and len(answer["hits"]) == 24
    distances = [hit["distance"] for hit in answer["hits"]]
    assert distances == sorted(distances)
    alone = json.loads(run(picture, "yard", "--json", "--top", 12)[0])
    mine = [hit["id"] for hit in answer["hits"] if hit["gallery"] == "yard"]
    assert mine == [hit["id"] for hit in alone["hits"]]
    assert list(galleries.entries("yard"))[-2]["query"] == answer["galleries"]["yard"]["query_hash"]


def test_a_crop_that_cannot_be_read_is_named_and_the_others_are_answered(run, folder):
    (folder / "p99.png").write_bytes((folder / "p00.png").read_bytes()[:200])
    out, err = run(folder, "shop", "--each", "--json", code=1)
    assert len(json.loads(out)) == 4 and "p99.png" in err


def test_galleries_of_two_models_are_refused_and_so_is_a_page_of_many_answers(run, folder, galleries, tmp_path):
    other = make_model(tmp_path, "bot", height=64, width=32)
    image = np.asarray(Image.open(folder / "p00.png").convert("RGB"))
    from unveil.records import Sample

    add_images(galleries, "other", engine=torch_engine(load_model(other)), samples=[Sample("x", folder / "p00.png")])
    assert image.shape == (64, 32, 3)
    assert "cannot be compared" in run(folder / "p00.png", "shop", "--also", "other", code=2)[1]
    assert "--page shows one answer" in run(folder, "shop", "--each", "--page", tmp_path / "x.html", code=2)[1]
    assert "--each" in run(folder, "shop", code=2)[1], "the way out is named"


def test_reranking_changes_the_order_and_keeps_the_distances(run, manifest):
    picture = manifest.parent / "images/p01_c0_0.png"
    plain = json.loads(run(picture, "shop", "--json", "--top", 12)[0])
    again = json.loads(run(picture, "shop", "--json", "--top", 12, "--rerank")[0])
    distance = {hit["id"]: hit["distance"] for hit in plain["hits"]}
    assert {hit["id"]: hit["distance"] for hit in again["hits"]} == pytest.approx(distance)
    assert "k-reciprocal" in again["protocol"]["order"] and plain["protocol"]["order"] == "by distance"
    assert any("Re-ranked" in note for note in again["notes"])
