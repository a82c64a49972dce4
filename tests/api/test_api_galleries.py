"""A gallery from Python: a real PostgreSQL, a real model, the package's own parser."""

from __future__ import annotations

import pytest

import unveil
from own_postgres import NewDatabase
from untrained import make_model
from unveil.errors import DataError
from unveil.gallery.records import Filter


@pytest.fixture(scope="session")
def server(new_database: NewDatabase) -> str:
    """Address of a store for the tests of this file."""
    return new_database(True)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return make_model(tmp_path_factory.mktemp("model"), "pcb")


def test_crops_are_added_once_searched_and_noted(server, model, manifest):
    images = manifest.parent / "images"
    with unveil.open_gallery("lobby", model=model, engine="torch", address=server, who="anna") as gallery:
        with pytest.raises(DataError, match="lobby"):
            gallery.info  # noqa: B018
        added = gallery.add(sorted(images.glob("p0[0-3]*.png")), camera="door", tags=["monday"])
        assert (added.crops, added.known) == (24, 0)
        assert gallery.add(images, camera="gate").known == 24
        assert (gallery.info.crops, gallery.info.cameras) == (72, ("door", "gate"))

        query = images / "p01_c1_0.png"
        found = gallery.search(query, top=3, why="lost child", skip_person_check=True)
        assert found.hits[0].item.source == str(query)
        assert found.hits[0].distance == pytest.approx(0, abs=1e-4) and len(found.hits) == 3
        others = gallery.search(query, where=Filter(cameras=("gate",)), mode="changed", skip_person_check=True)
        assert {hit.item.camera for hit in others.hits} == {"gate"} and others.candidates == 48
        apart = gallery.search(query, negatives=images / "p02_c0_0.png", top=72, skip_person_check=True)
        pushed = next(hit for hit in apart.hits if hit.item.source.endswith("p02_c0_0.png"))
        plain = gallery.search(query, top=72, skip_person_check=True)
        assert pushed.distance > next(h for h in plain.hits if h.item.id == pushed.item.id).distance

        entries = list(gallery.store.entries("lobby"))
        assert [entry["action"] for entry in entries] == [*["add"] * 4, *["search"] * 4]
        assert {entry["who"] for entry in entries} == {"anna"}
        assert (entries[4]["why"], entries[4]["results"]) == ("lost child", [hit.item.id for hit in found.hits])


def test_a_query_without_a_person_is_refused_unless_it_is_said(server, model, manifest):
    from PIL import Image

    flat = Image.new("RGB", (64, 128), (90, 90, 90))
    with unveil.open_gallery("hall", model=model, engine="torch", address=server) as gallery:
        gallery.add(manifest.parent / "images/p00_c0_0.png")
        with pytest.raises(DataError, match="no person"):
            gallery.search(flat)
        assert len(gallery.search(flat, skip_person_check=True).hits) == 1
