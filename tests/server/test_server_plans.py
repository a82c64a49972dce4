"""Floor plans over HTTP: who may change one, what of a file is kept, and what is refused before it costs memory."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from callers import CAMERAS, drawn_plan, encoded, person, search, send
from unveil.gallery.output.timeline import CLOCK_SECONDS, MAX_SPEED


def huge(width=10_000, height=10_000) -> bytes:
    """The first bytes of a PNG of 100 megapixels, which is all that is looked at."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    )


@pytest.fixture
def path(own_gallery):
    return f"/api/v1/galleries/{own_gallery}/plan"


PLACED = [{"camera": "c0", "x": 30, "y": 40}, {"camera": "c1", "x": 30, "y": 140}]
SCALE = {"start": {"x": 0, "y": 0}, "end": {"x": 100, "y": 0}, "metres": 1000}


def test_an_admin_sends_a_plan_and_everybody_sees_it(callers, path, store, own_gallery):
    admin, reader = callers.client("admin"), callers.client("reader")
    assert reader.get(path).json() is None and reader.get(f"{path}/image").status_code == 404
    answer = admin.post(path, content=encoded(drawn_plan()))
    assert answer.status_code == 201 and (answer.json()["width"], answer.json()["height"]) == (300, 200)
    put = admin.put(path, json={"cameras": PLACED, "scale": SCALE, "version": 1})
    assert put.status_code == 200 and put.json()["distances"] == [{"cameras": ["c0", "c1"], "metres": 1000.0}]
    shown = reader.get(path).json()
    assert shown == put.json() and shown["who"] == "the-admin" and shown["cameras"] == PLACED
    image = reader.get(f"{path}/image")
    assert image.headers["content-type"] == "image/jpeg"
    assert np.abs(np.asarray(Image.open(io.BytesIO(image.content))).astype(int) - drawn_plan()).mean() < 6
    told = [e["details"]["what"] for e in store.entries(own_gallery) if e["action"] == "floor plan"]
    assert told == ["image", "image", "cameras", "cameras"]
    assert admin.delete(path).status_code == 204 and reader.get(path).json() is None
    assert admin.delete(path).status_code == 404


def test_only_admins_change_a_plan(callers, path):
    callers.client("admin").post(path, content=encoded(drawn_plan()))
    for role in ("reader", "operator"):
        client = callers.client(role)
        tried = (client.post(path, content=b"x"), client.put(path, json={"version": 1}), client.delete(path))
        assert [answer.status_code for answer in tried] == [403, 403, 403]


def test_nothing_of_a_file_is_kept_but_its_pixels_and_no_more_than_a_screen_shows(callers, path):
    admin = callers.client("admin")
    out = io.BytesIO()
    exif = Image.Exif()
    exif[0x010E] = "the guard's own words"
    Image.fromarray(np.full((3_000, 4_500, 3), 200, np.uint8)).save(out, "JPEG", exif=exif)
    made = admin.post(path, content=out.getvalue() + b"<script>alert(1)</script>").json()
    assert (made["width"], made["height"]) == (3_000, 2_000)
    kept = admin.get(f"{path}/image").content
    assert b"the guard" not in kept and b"<script>" not in kept and kept[:2] == b"\xff\xd8"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (huge(), "too large"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not an image"),
        (encoded(drawn_plan())[:400], ""),
        (b"", ""),
    ],
    ids=["100 megapixels", "svg", "cut", "empty"],
)
def test_what_is_no_plan_is_refused_in_a_sentence(callers, path, body, words):
    admin = callers.client("admin")
    answer = admin.post(path, content=body)
    assert answer.status_code == 422 and words in answer.json()["error"] and len(answer.json()["error"]) < 200
    assert admin.get(path).json() is None


@pytest.mark.parametrize(
    ("change", "status", "words"),
    [
        ({"version": 7}, 409, "look again"),
        ({"cameras": [{"camera": "attic", "x": 1, "y": 1}]}, 422, "no camera 'attic'"),
        ({"cameras": [{"camera": "c0", "x": 301, "y": 1}]}, 422, "outside the plan of 300×200"),
        ({"cameras": [PLACED[0], PLACED[0]]}, 422, "sent twice"),
        ({"cameras": [{"camera": "c0", "x": -1, "y": 1}]}, 422, "x"),
        ({"scale": SCALE | {"metres": 0}}, 422, "metres"),
        ({"scale": SCALE | {"end": {"x": 0, "y": 0}}}, 422, "two points of the scale are one"),
    ],
)
def test_places_that_cannot_be_are_refused(callers, path, change, status, words):
    admin = callers.client("admin")
    admin.post(path, content=encoded(drawn_plan()))
    answer = admin.put(path, json={"cameras": PLACED, "scale": SCALE, "version": 1} | change)
    assert answer.status_code == status and words in answer.json()["error"], answer.text
    assert admin.get(path).json()["cameras"] == []


def test_distances_of_the_plan_count_where_the_operator_named_none(callers, service_with, path, own_gallery):
    admin = callers.client("admin")
    admin.post(path, content=encoded(drawn_plan()))
    places = [*PLACED, {"camera": "c2", "x": 30, "y": 50}]
    admin.put(path, json={"cameras": places, "scale": SCALE, "version": 1})
    about = admin.get(f"/api/v1/galleries/{own_gallery}").json()
    assert {tuple(one["cameras"]): one["metres"] for one in about["distances"]} == {
        ("c0", "c1"): 1000.0, ("c0", "c2"): 100.0, ("c1", "c2"): 900.0,
    }  # fmt: skip
    assert (about["max_speed"], about["clock_seconds"]) == (MAX_SPEED, CLOCK_SECONDS)
    object.__setattr__(callers.app.state.service.settings, "distances", {frozenset(("c0", "c1")): 1200.0})
    about = admin.get(f"/api/v1/galleries/{own_gallery}").json()
    assert {"cameras": ["c0", "c1"], "metres": 1200.0} in about["distances"] and len(about["distances"]) == 3


def test_the_report_flags_who_was_too_fast_by_the_plan(callers, path, store, own_gallery):
    admin = callers.client("admin")
    admin.post(path, content=encoded(drawn_plan()))
    admin.put(path, json={"cameras": PLACED, "scale": SCALE, "version": 1})
    found = search(admin, own_gallery, send(admin, person(2)), top=6)
    rows = [hit["item"]["id"] for hit in found["hits"] if hit["item"]["person"] == "p02"]
    assert len({hit["item"]["camera"] for hit in found["hits"]}) == CAMERAS
    for row in rows:
        admin.post(
            f"/api/v1/galleries/{own_gallery}/searches/{found['search']}/feedback", json={"item": row, "same": True}
        )
    again = search(admin, own_gallery, send(admin, person(2)), top=6, confirmed=rows)
    report = admin.get(f"/api/v1/galleries/{own_gallery}/searches/{again['search']}/report", params={"format": "html"})
    assert "1000 m from c0 to c1" in report.text
