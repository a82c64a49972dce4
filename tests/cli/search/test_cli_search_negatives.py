"""``unveil search --not`` beside a query that was embedded before: all of it is of one model."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import pytest

from command_line import refused, run
from generated import write_crops
from own_postgres import NewDatabase
from untrained import make_model
from unveil.data.readers.manifest import read_manifest
from unveil.gallery.ingest.images import ImageSettings, add_images
from unveil.gallery.store.opening import open_store
from unveil.inference.backends.pytorch import torch_engine
from unveil.models.checkpoint import load_model


class Given(NamedTuple):
    """Crops as a manifest and embedded, one of them, the model, and another one whose vectors are as long."""

    manifest: Path
    embedded: Path
    image: Path
    model: Path
    other: Path


@pytest.fixture(scope="session")
def server(new_database: NewDatabase) -> str:
    """Address of a store for the tests of this file."""
    return new_database(True)


@pytest.fixture(scope="module")
def given(tmp_path_factory) -> Given:
    folder = tmp_path_factory.mktemp("negatives")
    manifest = write_crops(folder / "crops", 2, 1)
    model = make_model(folder / "small", "histogram", height=64, width=32)
    other = make_model(folder / "large", "histogram", height=128, width=64)
    run("embed", model, manifest, "--out", folder / "crops.safetensors", "--engine", "torch")
    image = manifest.parent / "images/p01_c1_0.png"
    return Given(manifest, folder / "crops.safetensors", image, model, other)


def _words(given: Given, *words: object, model: Path) -> list[object]:
    options = ("--not", given.image, "--model", model, "--engine", "torch", "--json")
    return ["search", given.embedded, *words, *options]


def test_in_a_file(given):
    assert "the images of --not by" in refused(*_words(given, given.embedded, model=given.other))
    run(*_words(given, given.embedded, model=given.model))


@pytest.mark.parametrize("how", ["--one-person", "--each"])
def test_in_a_gallery(given, server, how):
    name, samples = how.strip("-"), read_manifest(given.manifest).samples
    with closing(open_store(server)) as store:
        add_images(
            store, name, engine=torch_engine(load_model(given.model)), samples=samples,
            settings=ImageSettings(start_time=1.7e9),
        )  # fmt: skip
    where = (name, how, "--store", server)
    assert "use the gallery's model" in refused(*_words(given, *where, model=given.other))
    run(*_words(given, *where, model=given.model))


@pytest.mark.parametrize("how", [(), ("--each",)])
@pytest.mark.parametrize("query", ["row:1", "embedded"])
def test_a_box_of_what_was_embedded_before_is_refused(given, query, how):
    words = (given.embedded if query == "embedded" else query, "shop", "--box", "0,0,9,9", *how)
    assert "was embedded before" in refused("search", *words)


def test_a_box_of_a_query_from_a_file_is_refused_in_a_file_too(given):
    assert "was embedded before" in refused("search", given.embedded, given.embedded, "--box", "0,0,9,9")
