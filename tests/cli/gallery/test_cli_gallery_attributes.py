"""What people wear: told when rows are added, filled in for rows from before, asked for with and without an image."""

from __future__ import annotations

import json

import pytest
from PIL import Image

from generated import write_crops
from unveil.attributes.colours import COLOURS
from unveil.attributes.records import FILTERS, VALUES
from unveil.cli.search import attributes as options


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    """A folder of 12 crops of rendered people who are mostly seen."""
    from unveil.world.config import preset
    from unveil.world.video import render_frames

    folder = tmp_path_factory.mktemp("people")
    for image, boxes in render_frames(preset("tiny"), 1, frames=40):
        for _, x, y, w, h, seen in boxes:
            number = len(list(folder.iterdir()))
            if float(seen) > 0.9 and h > 100 and number < 12:
                Image.fromarray(image[y : y + h, x : x + w]).save(folder / f"{number:02d}.png")
    assert len(list(folder.iterdir())) == 12
    return folder


def test_rows_from_before_are_filled_in_and_found(gallery, search, model, people, server):
    words = ("add", people, "--model", model, "--engine", "torch")
    gallery(*words, "--gallery", "new")
    gallery(*words, "--gallery", "old", "--no-parser")
    asked = [word for colour in ("grey", "blue", "red", "green") for word in ("--upper-colour", colour)]
    new = json.loads(search("new", *asked, "--json", "--rows", "crop", "--top", 100)[0])
    assert new["rows"] and new["candidates"] == len(new["rows"]) and all("top" in row["looks"] for row in new["rows"])
    sure = [row["sureness"] for row in new["rows"]]
    assert sure == sorted(sure, reverse=True) and sure[-1] >= 0.4
    out, _ = search("old", *asked)
    assert (
        "0 rows" in out and "12 rows of this gallery have no attributes yet" in out and "12 rows were left out" in out
    )
    out, _ = search("old", *asked, "--include-unseen", "--json", "--rows", "crop", "--top", 100)
    assert json.loads(out)["candidates"] == 12
    assert json.loads(gallery("stats", "old", "--json")[0])["rows_without_attributes"] == 12
    told = json.loads(gallery("attributes", "old", "--json")[0])
    assert told == {"gallery": "old", "crops": 12, "tracklets": 0, "bad": []}
    assert json.loads(gallery("attributes", "old", "--json")[0])["crops"] == 0
    assert json.loads(gallery("stats", "old", "--json")[0])["rows_without_attributes"] == 0
    assert json.loads(gallery("attributes", "old", "--redo", "--json")[0])["crops"] == 12
    old = json.loads(search("old", *asked, "--json", "--rows", "crop", "--top", 100)[0])
    assert abs(old["candidates"] - new["candidates"]) <= 1  # stored images were compressed
    entries = [json.loads(line) for line in gallery_log(server, "old")]
    assert {"search", "attributes"} <= {entry["action"] for entry in entries}
    listing = next(e for e in entries if e["action"] == "search")
    assert listing["details"]["by"] == "attributes" and "upper-colour=grey" in listing["details"]["where"]["attributes"]


def gallery_log(server: str, name: str) -> list[str]:
    from unveil.gallery.store.opening import open_store

    store = open_store(server)
    try:
        return [json.dumps(entry) for entry in store.entries(name)]
    finally:
        store.close()


def test_a_search_with_an_image_says_what_attributes_left_out(gallery, search, model, tmp_path):
    manifest = write_crops(tmp_path / "crops", 4, 2)
    gallery("add", manifest, "--gallery", "shop", "--model", model, "--engine", "torch", "--no-parser")
    query = next(iter(sorted((tmp_path / "crops").rglob("*.png")) or sorted((tmp_path / "crops").rglob("*.jpg"))))
    words = (query, "shop", "--model", model, "--engine", "torch", "--skip-person-check")
    out, _ = search(*words, "--bag", "yes")
    assert "24 rows were left out because what is asked for cannot be seen" in out
    assert "--include-unseen, in a request include_unseen, takes them in" in " ".join(out.split())
    out, _ = search(*words, "--bag", "yes", "--include-unseen", "--json")
    told = json.loads(out)
    assert len(told["hits"]) == 10 and "attributes bag=yes" in told["protocol"]["filters"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("shop",), "attributes such as --bag yes"),
        (("shop", "--bag", "yes", "--each"), "--each needs a query"),
        (("shop", "--bag", "yes", "--page", "x.html"), "--page needs a query"),
        (("nowhere", "--bag", "yes"), "nowhere"),
    ],
)
def test_what_cannot_be_asked(search, words, said):
    _, err = search(*words, code=2)
    assert said in err


def test_the_options_have_the_values_of_the_attributes():
    """They are written out for a start without NumPy; here they are held to what they mean."""
    assert tuple(options.Colour) == COLOURS
    kinds = {"hair": options.Hair, "sleeves": options.Sleeves, "legs": options.Legs}
    kinds |= dict.fromkeys(("bag", "hat"), options.YesNo)
    assert {name: tuple(kind) for name, kind in kinds.items()} == {name: VALUES[name] for name in kinds}
    assert {*kinds, "upper-colour", "lower-colour"} == set(FILTERS)
