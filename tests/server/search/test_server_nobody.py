"""A query on which nobody is seen is refused in words, by the real parser, unless the client says it knows better."""

import numpy as np
import pytest
from fastapi.testclient import TestClient

from callers import LOOPBACK, PEOPLE, person, rendered_person, search, send
from unveil.server.app import create_app

BLANK = np.full((128, 64, 3), 120, np.uint8)


@pytest.fixture
def wary(service_with, parser, gallery):
    """A client of a server that looks for people on query images."""
    return TestClient(create_app(service_with(parser=parser)), base_url=LOOPBACK)


def asked(client, gallery, *positives, **more):
    return client.post(f"/api/v1/galleries/{gallery}/searches", json={"positives": positives, **more})


def test_an_image_without_a_person_is_refused_and_searched_with_anyway(wary, client, gallery, store):
    image = send(wary, BLANK)
    searches = [entry for entry in store.entries(gallery) if entry["action"] == "search"]
    for _ in range(2):
        refused = asked(wary, gallery, {"image": image})
        assert refused.status_code == 422 and refused.json()["skip_person_check"] is True
        assert refused.json()["error"].startswith("the image: no person is seen on it; choose another image")
    assert [entry for entry in store.entries(gallery) if entry["action"] == "search"] == searches
    assert len(search(wary, gallery, image, skip_person_check=True, top=3)["hits"]) == 3
    assert asked(wary, gallery, {"image": image}).status_code == 422, "once is not for ever"
    # A server without a parser takes any image.
    assert len(search(client, gallery, send(client, BLANK), top=3)["hits"]) == 3


def test_a_person_passes_and_so_does_a_box_around_one(wary, gallery):
    crop = rendered_person()
    assert search(wary, gallery, send(wary, crop), top=1)["hits"]
    wide = np.full((crop.shape[0], 600, 3), 120, np.uint8)
    wide[:, : crop.shape[1]] = crop
    image = send(wary, wide)
    size = {"y": 0, "width": crop.shape[1], "height": crop.shape[0]}
    assert search(wary, gallery, {"image": image, "box": {"x": 0, **size}}, top=1)["hits"]
    refused = asked(wary, gallery, {"image": image, "box": {"x": 600 - crop.shape[1], **size}})
    assert refused.status_code == 422 and refused.json()["error"].startswith("the box on the image: no person")


def test_of_several_images_the_one_without_a_person_is_named(wary, gallery):
    pieces = [{"image": send(wary, pixels)} for pixels in (rendered_person(), BLANK)]
    refused = asked(wary, gallery, *pieces)
    assert refused.status_code == 422 and refused.json()["error"].startswith("image 2: no person is seen")
    # "Not this one" may be anything, and rows of the gallery are not looked at again.
    row = search(wary, gallery, pieces[0], negatives=[pieces[1]], top=1)["hits"][0]["item"]["id"]
    assert search(wary, gallery, {"item": row}, top=1)["hits"]


def test_other_refusals_do_not_offer_to_search_anyway(wary, gallery):
    small = {"image": send(wary, person(PEOPLE)), "box": {"x": 0, "y": 0, "width": 2, "height": 2}}
    for refused in (asked(wary, gallery, small), asked(wary, gallery, {"item": 1, "image": "x" * 20})):
        assert refused.status_code == 422 and "skip_person_check" not in refused.json()
