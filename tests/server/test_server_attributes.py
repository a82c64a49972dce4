"""What people wear, over HTTP: as a filter, as a listing, on rows; and what is left out because it cannot be seen."""

import pytest
from dressed import dress
from fastapi.testclient import TestClient

from callers import LOOPBACK, person, send
from unveil.server.app import create_app


@pytest.fixture
def shop(store, own_gallery):
    return dress(store, own_gallery)


def listing(client, name, asked, **more):
    where = {"attributes": asked, **more.pop("where", {})}
    return client.post(f"/api/v1/galleries/{name}/listings", json={"where": where, "top": 100, **more})


def test_rows_are_listed_by_attributes_alone(client, store, shop):
    told = listing(client, shop, ["upper-colour=blue", "bag=yes"], why="lost child").json()
    assert {one["item"]["person"] for one in told["sightings"]} == {"p00"} and told["candidates"] == 4
    assert [one["sureness"] for one in told["sightings"]] == [0.8] * 4
    times = [one["item"]["time"] for one in told["sightings"]]
    assert times == sorted(times)
    assert told["unseen"] == 8 and "8 rows were left out" in told["notes"][0]  # whose bag shows, but not the top
    item = told["sightings"][0]["item"]
    assert item["attributes"]["upper-colour"] == {"values": {"blue": 0.8, "black": 0.1}, "main": ["blue"], "shown": 0.8}
    entry = [e for e in store.entries(shop) if e["action"] == "search"][-1]
    assert entry["why"] == "lost child" and entry["details"]["by"] == "attributes"
    assert entry["results"] == [one["item"]["id"] for one in told["sightings"]]


def test_near_colours_are_taken_and_hidden_ones_where_asked(client, shop):
    told = listing(client, shop, ["upper-colour=blue"]).json()
    assert {one["item"]["person"] for one in told["sightings"]} == {"p00", "p01"} and told["unseen"] == 16
    every = listing(client, shop, ["upper-colour=blue"], where={"include_unseen": True}).json()
    assert every["candidates"] == told["candidates"] + 16 and every["unseen"] == 0 and every["notes"] == []
    assert [one["sureness"] for one in every["sightings"]][-16:] == [0] * 16


def test_a_search_with_an_image_is_filtered_too(client, shop):
    sent = send(client, person(3))
    ask = {"positives": [{"image": sent}], "where": {"attributes": ["bag=yes"]}, "top": 100}
    found = client.post(f"/api/v1/galleries/{shop}/searches", json=ask).json()
    assert {hit["item"]["person"] for hit in found["hits"]} == {"p00", "p02", "p04", "p06"} and found["unseen"] == 0
    ask["where"]["attributes"] = ["upper-colour=grey"]
    found = client.post(f"/api/v1/galleries/{shop}/searches", json=ask).json()
    assert found["unseen"] == 16 and "16 rows were left out" in found["notes"][0]
    assert {hit["item"]["person"] for hit in found["hits"]} == {"p03", "p04"}  # grey, and white, which is near it


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ([], "an attribute at least"),
        (["upper-colour=bleu"], "did you mean 'blue'"),
        (["wings=yes"], "no attribute 'wings'"),
        (["jacket=yes"], "no attribute 'jacket'"),
        (["bag=yes"] * 61, "at most 60"),
        (["x" * 100], "at most 60"),
    ],
)
def test_nonsense_is_refused(client, shop, asked, said):
    answer = listing(client, shop, asked)
    assert answer.status_code == 422 and said in answer.text


def test_limits_reasons_and_galleries_hold_for_listings_too(service_with, gallery, shop):
    client = TestClient(create_app(service_with(galleries=(gallery,), require_why=True)), base_url=LOOPBACK)
    assert listing(client, gallery, ["bag=yes"]).status_code == 422
    assert listing(client, gallery, ["bag=yes"], why="x").status_code == 200
    assert listing(client, gallery, ["bag=yes"], why="x", top=10_000).status_code == 422
    assert listing(client, shop, ["bag=yes"], why="x").status_code == 404


def test_taking_in_unseen_rows_is_no_condition_to_delete_by(client, shop, store):
    """`include_unseen` alone lets every row through: a deletion by it would empty the gallery."""
    url = f"/api/v1/galleries/{shop}/deletions"
    assert client.post(url, json={"where": {"include_unseen": True}}).status_code == 422
    assert client.post(url, json={"where": {"attributes": ["bag=no"]}}).json() == {"deleted": 24}
    assert store.info(shop).crops == 24


def test_rows_that_nobody_looked_at_say_so(client, gallery):
    item = client.get(f"/api/v1/galleries/{gallery}/items").json()["items"][0]
    assert item["attributes"] is None
    told = listing(client, gallery, ["bag=yes"]).json()
    assert told["sightings"] == [] and told["unseen"] == 48
    assert f"unveil gallery attributes {gallery}" in told["notes"][1]
