"""Searches over the API: who is found first, within which boxes and filters, and what feedback changes."""

import io

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from callers import CAMERAS, LOOPBACK, PEOPLE, SHOTS, encoded, frame, person, rendered_person, search, send
from unveil.server.app import create_app


def persons(found):
    return [hit["item"]["person"] for hit in found["hits"]]


@pytest.mark.parametrize("number", range(0, PEOPLE, 3))
def test_an_image_finds_its_person_first(client, gallery, engine, number):
    found = search(client, gallery, send(client, person(number)), top=6)
    assert persons(found)[:4] == [f"p{number:02d}"] * 4
    distances = [hit["distance"] for hit in found["hits"]]
    assert distances == sorted(distances)
    assert [hit["rank"] for hit in found["hits"]] == [1, 2, 3, 4, 5, 6]
    assert found["candidates"] == PEOPLE * CAMERAS * SHOTS
    assert found["model"] == {"name": engine.name, "fingerprint": engine.fingerprint, "licence": None}
    assert found["calibrated"] is False and found["match"] is None
    assert all(hit["probability"] is None and hit["reason"] for hit in found["hits"])


def test_a_box_on_a_frame_searches_for_that_person_alone(client, gallery):
    wide, boxes = frame(2, 5, 7)
    image = send(client, wide)
    for number, box in zip((2, 5, 7), boxes, strict=True):
        assert persons(search(client, gallery, {"image": image, "box": box}, top=3)) == [f"p{number:02d}"] * 3
    whole = persons(search(client, gallery, image, top=3))
    assert whole != ["p02"] * 3


def test_a_box_is_counted_on_the_image_as_it_is_shown(client, gallery):
    """A photograph that is stored lying and marked as turned has the box of the upright image."""
    wide, (box,) = frame(4)
    stored = Image.fromarray(np.rot90(wide))  # stored turned by 90 degrees; orientation 6 turns it back
    exif = Image.Exif()
    exif[0x0112] = 6
    buffer = io.BytesIO()
    stored.save(buffer, "PNG", exif=exif)
    answer = client.post("/api/v1/images", content=buffer.getvalue()).json()
    assert (answer["width"], answer["height"]) == (400, 240)
    assert persons(search(client, gallery, {"image": answer["image"], "box": box}, top=3)) == ["p04"] * 3


def test_a_stored_row_finds_others_like_it_and_negatives_push_away(client, gallery):
    rows = client.get(f"/api/v1/galleries/{gallery}/items", params={"limit": 200}).json()["items"]
    mine = next(row for row in rows if row["person"] == "p03")
    found = search(client, gallery, {"item": mine["id"]}, top=8)
    assert mine["id"] not in [hit["item"]["id"] for hit in found["hits"]]
    assert found["hits"][0]["item"]["person"] == "p03"
    other = next(hit for hit in found["hits"] if hit["item"]["person"] != "p03")["item"]
    again = search(client, gallery, {"item": mine["id"]}, negatives=[{"item": other["id"]}], top=48)
    before = search(client, gallery, {"item": mine["id"]}, top=48)
    place = [persons(f).index(other["person"]) for f in (before, again)]
    assert place[1] > place[0]


@pytest.mark.parametrize(("where", "fits"), [
    ({"cameras": ["c1"]}, lambda i: i["camera"] == "c1"),
    ({"tags": ["rain"]}, lambda i: "rain" in i["tags"]),
    ({"min_visible": 0.5}, lambda i: i["visible"] >= 0.5),
    ({"persons": ["p02", "p05"]}, lambda i: i["person"] in ("p02", "p05")),
    ({"start": 1_700_000_600.0, "end": 1_700_001_199.0}, lambda i: i["person"] == "p01"),
])  # fmt: skip
def test_filters_hold_for_every_result(client, gallery, where, fits):
    rows = client.get(f"/api/v1/galleries/{gallery}/items", params={"limit": 200}).json()["items"]
    expected = {row["id"] for row in rows if fits(row)}
    found = search(client, gallery, send(client, person(2)), where=where, top=100)
    assert {hit["item"]["id"] for hit in found["hits"]} == expected
    assert found["candidates"] == len(expected) and 0 < len(expected) < len(rows)


def test_a_filter_that_nothing_passes_is_an_empty_answer(client, gallery):
    found = search(client, gallery, send(client, person(2)), where={"cameras": ["elsewhere"]})
    assert found["hits"] == [] and found["candidates"] == 0


def test_confirmed_rows_refine_and_rejected_ones_are_gone(client, gallery):
    mixed = np.concatenate([person(1)[:64], person(5)[64:]])  # half of one, half of another
    image = send(client, mixed)
    first = search(client, gallery, image, top=48)
    rows = {
        name: [hit["item"]["id"] for hit in first["hits"] if hit["item"]["person"] == name] for name in ("p01", "p05")
    }
    again = search(client, gallery, image, confirmed=rows["p05"][:2], rejected=rows["p01"][:1], top=48)
    assert again["query_hash"] == first["query_hash"]
    assert rows["p01"][0] not in {hit["item"]["id"] for hit in again["hits"]} and len(again["hits"]) == 47
    assert persons(again)[:4] == ["p05"] * 4


def test_a_query_has_one_hash_however_much_of_it_was_searched_for_before(client, gallery):
    first, second, third = (send(client, person(n)) for n in (1, 2, 3))
    whole = search(client, gallery, first, second, third)["query_hash"]
    fresh = [send(client, person(n)) for n in (1, 2, 3)]
    search(client, gallery, fresh[2])  # the last one is known, the others are not
    assert search(client, gallery, *fresh)["query_hash"] == whole
    assert (
        search(client, gallery, third, second, first)["query_hash"]
        == search(client, gallery, *fresh[::-1])["query_hash"]
    )


def test_a_crop_that_is_sent_is_parsed_like_one_that_is_indexed(service_with, own_gallery, parser):
    client = TestClient(create_app(service_with(parser)), base_url=LOOPBACK)
    sent = client.post(f"/api/v1/galleries/{own_gallery}/items?camera=new", content=encoded(rendered_person()))
    assert sent.json() == {"added": 1, "known": 0}, sent.text
    (row,) = client.get(f"/api/v1/galleries/{own_gallery}/items?camera=new&rows=crop").json()["items"]
    assert row["visible"] is not None and 0 < row["visible"] <= 1


def test_feedback_is_taken_back_and_the_audit_log_says_so(client, own_gallery, store):
    found = search(client, own_gallery, send(client, person(1)), top=3)
    url = f"/api/v1/galleries/{own_gallery}/searches/{found['search']}/feedback"
    first, second = (hit["item"]["id"] for hit in found["hits"][:2])
    for item, same in ((first, True), (second, False), (first, None), (first, None)):
        assert client.post(url, json={"item": item, "same": same}).status_code == 204
    assert store.feedback.all(own_gallery) == [(found["query_hash"], second, False)]
    said = [entry for entry in store.entries(own_gallery) if entry["action"] == "feedback"]
    assert [(entry["results"], entry["details"]["same"]) for entry in said] == [
        ([first], True), ([second], False), ([first], None), ([first], None),
    ]  # fmt: skip
    assert {entry["query"] for entry in said} == {found["query_hash"]}
    assert client.post(url, json={"item": 999999999, "same": None}).status_code == 404
    assert client.post(url, json={"item": first}).status_code == 422, "what is said must be said"
