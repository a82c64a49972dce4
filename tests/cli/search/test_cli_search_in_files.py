"""``unveil search`` in a file of embeddings: what it shows of people, what it refuses, and names from elsewhere."""

from __future__ import annotations

import base64
import csv
import json
import re
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from command_line import refused, run
from generated import write_crops
from untrained import make_model
from unveil.cli import app
from unveil.data.images import read_image
from unveil.gallery.search import query
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


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    return make_model(tmp_path_factory.mktemp("model"), "histogram", height=64, width=32)


@pytest.fixture(scope="module")
def crops(tmp_path_factory, model) -> Path:
    """A folder of 12 drawn figures, in which the parser sees nobody; embedded beside it."""
    folder = write_crops(tmp_path_factory.mktemp("crops"), 2, 1).parent / "images"
    run("embed", model, folder, "--out", folder.with_suffix(".safetensors"), "--engine", "torch")
    return folder


def sharpness(image: np.ndarray) -> float:
    return float(np.abs(np.diff(image.astype(float), axis=0)).max(axis=(1, 2)).mean())


def shown(page: Path) -> list[np.ndarray]:
    """Return the images of a page."""
    found = re.findall(r"data:image/jpeg;base64,([A-Za-z0-9+/=]+)", page.read_text())
    return [read_image(base64.b64decode(text)) for text in found]


@pytest.mark.parametrize("kind", ["page", "sheet"])
def test_faces_are_blurred_unless_the_user_wishes_to_see_them(crops, tmp_path, kind):
    pytest.importorskip("jinja2", reason="the extra report is not installed")
    file, images = crops.with_suffix(".safetensors"), []
    for name, more in (("blurred", ()), ("seen", ("--faces",))):
        out = tmp_path / f"{name}.{'html' if kind == 'page' else 'png'}"
        run("search", file, file, "--only", "p01_c0_0", f"--{kind}", out, "--top", 3, *more)
        images.append(shown(out) if kind == "page" else [read_image(out)])
    assert len(images[0]) == len(images[1]) == (4 if kind == "page" else 1)
    for blurred, seen in zip(*images, strict=True):
        assert sharpness(blurred) < 0.9 * sharpness(seen)


def test_an_image_on_which_nobody_is_seen_is_refused(crops, model):
    words = ("search", crops / "p01_c0_0.png", crops.with_suffix(".safetensors"), "--model", model, "--engine", "torch")
    assert "p01_c0_0.png: no person is seen on it" in refused(*words)
    assert json.loads(run(*words, "--skip-person-check", "--json").stdout)[0]["hits"]


def test_of_several_queries_those_with_people_are_answered_unless_all_are_one_person(crops, model, monkeypatch):
    monkeypatch.setattr(query, "people_on", lambda images, parser: np.array([image.mean() > 100 for image in images]))
    bright = [path.name for path in sorted(crops.iterdir()) if read_image(path).mean() > 100]
    assert 0 < len(bright) < 12
    words = ("search", crops, crops.with_suffix(".safetensors"), "--model", model, "--engine", "torch", "--json")
    answered = run(*words, code=1)
    assert [found["query"] for found in json.loads(answered.stdout)] == [[name] for name in bright]
    assert answered.stderr.count("left out: ") == 12 - len(bright) and "no person is seen" in answered.stderr
    assert "no person is seen" in refused(*words, "--one-person")


@pytest.mark.parametrize(
    "option",
    ["--why=x", "--rows=tracklet", "--rescore=500", "--store=postgresql://x", "--folder=x", "--camera=gate", "--from=1",
     "--to=2", "--min-visible=0", "--tag=x", "--each", "--also=x", "--rerank", "--hat=yes", "--include-unseen"],
)  # fmt: skip
def test_what_only_galleries_have_is_refused(crops, option):
    file = crops.with_suffix(".safetensors")
    assert f"{option.partition('=')[0]} needs a gallery" in refused("search", file, file, option)


@pytest.mark.parametrize("option", ["--device=cpu", "--cache=x"])
def test_what_only_files_have_is_refused_in_a_gallery(option):
    assert f"{option.partition('=')[0]} needs a file" in refused("search", "row:1", "station", option)


@pytest.mark.parametrize(
    "option", ["--only=x", "--one-person", "--mode=changed", "--rescore=9", "--faces", "--page=x.html"]
)
def test_what_needs_a_query_is_refused_without_one(option):
    assert f"{option.partition('=')[0]} needs a query" in refused("search", "station", "--hat", "yes", option)
