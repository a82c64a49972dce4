"""What was removed from a gallery, by whomever, is in nothing that a server gives out or keeps."""

import time

import pytest
from fastapi.testclient import TestClient

from callers import LOOPBACK, person, search, send
from unveil.gallery.records import Filter
from unveil.server.app import create_app


@pytest.fixture
def served(service_with, own_gallery):
    service = service_with()
    return TestClient(create_app(service), base_url=LOOPBACK), service, own_gallery


def of(gallery, found, what):
    return f"/api/v1/galleries/{gallery}/searches/{found['search']}/{what}"


def test_a_removed_row_is_in_no_report_heat_map_thumbnail_or_feedback(served, store):
    client, _, gallery = served
    found = search(client, gallery, send(client, person(0)), top=5, rows="crop")
    ids = [hit["item"]["id"] for hit in found["hits"]]
    images = client.get(of(gallery, found, "report")).text.count("data:image")
    store.delete(gallery, Filter(ids=(ids[0],)))  # as another process does
    exported = client.get(of(gallery, found, "report"), params={"format": "json"}).json()
    assert [hit["id"] for hit in exported["hits"]] == ids[1:]
    page = client.get(of(gallery, found, "report"))
    assert page.status_code == 200 and page.text.count("data:image") == images - 1
    assert client.get(of(gallery, found, f"hits/{ids[0]}/heat")).status_code == 404
    assert client.get(f"/api/v1/galleries/{gallery}/items/{ids[0]}/thumbnail").status_code == 404
    kept = client.post(of(gallery, found, "feedback"), json={"item": ids[0], "same": True})
    assert kept.status_code == 404
    assert client.get(of(gallery, found, f"hits/{ids[1]}/heat")).status_code == 200


def test_a_search_with_a_row_that_was_removed_is_gone(served, store):
    client, _, gallery = served
    ids = [item["id"] for item in client.get(f"/api/v1/galleries/{gallery}/items?rows=crop").json()["items"]]
    found = search(client, gallery, {"item": ids[0]}, top=5, rows="crop")
    store.delete(gallery, Filter(ids=(ids[0],)))
    gone = client.get(of(gallery, found, "report"), params={"format": "json"})
    assert gone.status_code == 410 and "removed" in gone.json()["error"]


def test_what_is_held_lets_go_of_removed_rows_though_nobody_asks(served, store):
    client, service, gallery = served
    found = search(client, gallery, send(client, person(0)), top=5, rows="crop")
    gone = found["hits"][0]["item"]["id"]

    def held():
        return [hit.item.id for one in service.searches.values() for hit in one.found.hits]

    def in_memory():
        copy = service._in_memory._copies[gallery]
        return [int(n) for block in copy.blocks for n in block.ids]

    assert gone in held() and gone in in_memory()
    service.removals.look()
    store.delete(gallery, Filter(ids=(gone,)))
    deadline = time.monotonic() + 60
    while gone in held() or gone in in_memory():
        assert time.monotonic() < deadline
        time.sleep(0.1)
    store.drop(gallery)
    while held() or gallery in service._in_memory._copies:
        assert time.monotonic() < deadline
        time.sleep(0.1)
