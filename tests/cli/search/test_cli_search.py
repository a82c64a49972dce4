"""``unveil search`` and ``unveil gallery calibrate`` in a gallery on a real server, with a real model and images."""

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
from unveil.gallery.records import Filter
from unveil.gallery.store.opening import open_store
from unveil.inference.backends.pytorch import torch_engine
from unveil.models.checkpoint import load_model

pytest.importorskip("jinja2", reason="the extra report is not installed")


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


@pytest.fixture
def store(server):
    store = open_store(server)
    yield store
    for info in store.galleries():
        store.drop(info.name)
    store.close()


@pytest.fixture
def shop(store, model, manifest):
    """The crops in a gallery."""
    add_images(
        store, "shop", engine=torch_engine(load_model(model)), samples=read_manifest(manifest).samples,
        settings=ImageSettings(start_time=1.7e9),
    )  # fmt: skip
    return "shop"


@pytest.fixture
def unveil(server, monkeypatch, capsys):
    """Return a function that runs a command line on the session's server."""

    def run(*words: object, code: int = 0) -> tuple[str, str]:
        engine = ("--engine", "torch") if words[0] == "search" else ()  # exporting takes a while
        monkeypatch.setattr("sys.argv", ["unveil", "--quiet", *map(str, words), "--store", server, *engine])
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            main()
        out, err = capsys.readouterr()
        assert (end.value.code or 0) == code, out + err
        return out, " ".join(err.split())

    return run


def test_a_search_by_image_answers_with_hits_reasons_and_an_entry_in_the_log(unveil, shop, store, model, manifest):
    picture = next(manifest.parent.glob("images/p01_c1_0.png"))
    words = ("search", picture, shop, "--model", model, "--skip-person-check", "--why", "lost child", "--json")
    told = json.loads(unveil(*words, "--top", 5)[0])
    assert len(told["hits"]) == 5
    assert told["hits"][0]["distance"] == pytest.approx(0, abs=1e-4)
    assert told["hits"][0]["person"] == "p01"
    assert len(told["hits"][0]["parts"]) == 6 and told["hits"][1]["reason"]
    assert told["model"]["name"] == load_model(model).name
    assert told["model"]["fingerprint"] == load_model(model).card.fingerprint
    entry = list(store.entries("shop"))[-1]
    assert (entry["action"], entry["why"], entry["query"]) == ("search", "lost child", told["query_hash"])
    assert entry["results"] == [hit["id"] for hit in told["hits"]]

    other = json.loads(unveil(*words, "--camera", "c0", "--mode", "changed")[0])
    assert {hit["camera"] for hit in other["hits"]} == {"c0"}
    assert other["candidates"] == 12
    assert other["protocol"]["clothes"] == "may have changed"
    assert list(store.entries("shop"))[-1]["details"]["where"]["cameras"] == ["c0"]


def test_negatives_boxes_and_stored_rows(unveil, shop, store, model, manifest, tmp_path):
    picture = manifest.parent / "images/p01_c1_0.png"
    words = ("search", picture, shop, "--model", model, "--skip-person-check", "--json", "--top", 24)
    plain = {hit["id"]: hit["distance"] for hit in json.loads(unveil(*words)[0])["hits"]}
    other = manifest.parent / "images/p02_c0_0.png"
    pushed = {hit["id"]: hit["distance"] for hit in json.loads(unveil(*words, "--not", other)[0])["hits"]}
    (row,) = (item.id for item in store.find("shop", Filter(sources=(str(other.absolute()),))))
    assert pushed[row] == pytest.approx(2 * plain[row], rel=1e-3)
    assert all(pushed[i] >= plain[i] - 1e-5 for i in plain)

    image = np.asarray(Image.open(picture).convert("RGB"))
    frame = np.zeros((300, 400, 3), np.uint8)
    frame[40 : 40 + image.shape[0], 70 : 70 + image.shape[1]] = image
    Image.fromarray(frame).save(tmp_path / "frame.png")
    box = f"70,40,{image.shape[1]},{image.shape[0]}"
    words = ("search", tmp_path / "frame.png", shop, "--model", model, "--skip-person-check", "--json", "--top", 3)
    boxed = json.loads(unveil(*words, "--box", box)[0])["hits"]
    assert boxed[0]["distance"] == pytest.approx(0, abs=1e-4)

    stored = json.loads(unveil("search", f"row:{boxed[0]['id']}", shop, "--json", "--top", 23)[0])["hits"]
    assert {hit["id"] for hit in stored} == set(plain) - {boxed[0]["id"]}


def test_page_sheet_and_table_are_written(unveil, shop, model, manifest, tmp_path):
    files = [tmp_path / f"found.{ending}" for ending in ("html", "png", "csv")]
    picture = manifest.parent / "images/p01_c1_0.png"
    out, err = unveil(
        "search", picture, shop, "--model", model, "--skip-person-check", "--page", files[0], "--sheet", files[1],
        "--csv", files[2],
    )  # fmt: skip
    assert err.count("wrote") == 3
    assert "Not calibrated" in out and "compared exactly" in out
    answered = f"{load_model(model).summary}, licence not stated"
    assert f"model {answered}" in out and answered in files[0].read_text()
    assert "How it was searched" in files[0].read_text() and "blurred" in files[0].read_text()
    assert files[1].read_bytes()[:4] == b"\x89PNG"
    assert len(list(csv.DictReader(files[2].open()))) == 10


def test_several_crops_are_one_person_only_when_it_is_said(unveil, shop, model, manifest):
    words = ("search", manifest, shop, "--model", model, "--only", "p01_c1", "--json")
    _, err = unveil(*words, "--skip-person-check", code=2)
    assert "has 3 crops" in err and "--one-person" in err
    told = json.loads(unveil(*words, "--skip-person-check", "--one-person")[0])
    assert "3 crops" in told["protocol"]["query"]


def test_wrong_questions_have_one_clear_answer_each(unveil, shop, store, model, manifest, tmp_path):
    picture = manifest.parent / "images/p01_c1_0.png"
    Image.new("RGB", (64, 128), (120, 120, 120)).save(tmp_path / "grey.png")
    other = make_model(tmp_path, "pcb", seed=5, height=64, width=32)
    store.create("empty", store.info("shop").space)
    for words, message in (
        ((tmp_path / "grey.png", shop, "--model", model), "no person is seen"),
        ((picture, shop, "--model", other, "--skip-person-check"), "embedded by model"),
        ((picture, "empty", "--model", model, "--skip-person-check"), "'empty' is empty"),
        ((picture, "shopp", "--model", model, "--skip-person-check"), "shop"),
        ((picture, shop, "--skip-person-check"), "use the gallery's model"),
        ((shop, picture), f"the query comes first, as in unveil search {picture} {shop}"),
        (("row:999999", shop), "has no row 999999"),
        (("row:x", shop), "row:17"),
        ((picture, shop, "--model", model, "--box", "1,2,3"), "a box is x,y,width,height"),
        ((picture, shop, "--model", model, "--box", "900,900,50,50"), "are left to look at"),
        ((picture, shop, "--model", model, "--skip-person-check", "--from", "tomorrow"), "--from: expected"),
        ((picture, shop, "--model", model, "--skip-person-check", "--not", tmp_path / "none.png"), "cannot be read"),
    ):
        _, err = unveil("search", *words, code=2)
        assert message in err, words
    out, _ = unveil("search", picture, shop, "--model", model, "--skip-person-check", "--camera", "moon")
    assert "No row passes the filters; without them the gallery has 24." in out
    crops = tmp_path / "e.safetensors"
    crops.write_bytes(b"x")
    _, err = unveil("search", picture, crops, "--camera", "c0", code=2)
    assert "--camera needs a gallery" in err


def test_another_model_than_the_gallerys_is_refused_before_it_is_opened(unveil, shop, model, manifest, monkeypatch):
    def opened(*_, **__):
        raise AssertionError("an engine was opened, which may take a minute")

    monkeypatch.setattr("unveil.inference.load.cached_engine", opened)
    picture = manifest.parent / "images/p01_c1_0.png"
    for words in (
        ("search", picture, shop),
        ("search", manifest, shop, "--each"),
        ("search", "row:1", shop, "--not", picture),
        ("gallery", "add", "--gallery", shop, manifest),
        ("watch", picture, "--gallery", shop, "--query", picture, "--threshold", "0.5"),
    ):
        _, err = unveil(*words, code=2)
        assert "use the gallery's model" in err, words


def test_a_gallery_is_calibrated_on_its_labels_and_answers_with_probabilities(unveil, shop, store, model, manifest):
    told = json.loads(unveil("gallery", "calibrate", shop, "--mode", "same", "--json")[0])
    assert told["same"]["pairs"] == 24 * 21  # less the row itself and two more of its person and camera
    assert list(store.entries("shop"))[-1]["action"] == "calibrate"
    out, _ = unveil("gallery", "calibrate", shop)
    assert "checked on people held out" in " ".join(out.split())
    picture = manifest.parent / "images/p01_c1_0.png"
    found = json.loads(unveil("search", picture, shop, "--model", model, "--skip-person-check", "--json")[0])
    assert found["calibrated"] and 0 < found["hits"][0]["probability"] < 1
    _, err = unveil("gallery", "calibrate", shop, "--false-alarms", "2", code=2)
    assert "between 0 and 1" in err
