"""The source frame of a row over HTTP: whole frames, clips that play, crops of a tracklet; rights, entries, removal."""

import io

import av
import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from callers import FREE, LOOPBACK, Callers
from films import box_at, walk_frame, write_boxes, write_film
from unveil.gallery.ingest.video import add_video
from unveil.gallery.ingest.video_settings import VideoSettings
from unveil.gallery.records import Filter
from unveil.server.app import create_app
from unveil.video.detectors.precomputed import GivenBoxes

API = "/api/v1/galleries"


@pytest.fixture
def film(tmp_path):
    folder = tmp_path / "films"
    folder.mkdir()
    return write_film(folder / "hall.mp4", codec="libx264")


@pytest.fixture
def filmed(store, engine, own_gallery, film, tmp_path):
    """A gallery with two people of a film, and the row of the first one's tracklet."""
    boxes = GivenBoxes(write_boxes(tmp_path / "boxes.csv", tracks=True))
    settings = VideoSettings(camera="hall", start_time=1_700_000_000.0, crops=7)
    add_video(store, own_gallery, engine=engine, source=film, detector=boxes, settings=settings)
    rows = [r for r in store.find(own_gallery, Filter(rows="tracklet", cameras=("hall",))) if r.kind == "tracklet"]
    assert len(rows) == 2
    return own_gallery, min(rows, key=lambda row: row.time)


@pytest.fixture
def desk(service_with, film):
    """A client on this machine, of a server that may read the film."""
    return TestClient(create_app(service_with(sources=(film.parent,))), base_url=LOOPBACK)


def test_the_moment_is_the_whole_frame_with_the_box_and_all_crops(desk, filmed, store):
    gallery, row = filmed
    said = desk.get(f"{API}/{gallery}/items/{row.id}/source").json()
    assert (said["state"], said["words"], said["video"]) == ("there", "", True)
    assert (said["width"], said["height"], said["box"]) == (160, 96, list(box_at(0, row.frame)))
    stored = store.crops_of(gallery, row.key)
    assert len(stored) > 4 and [crop["id"] for crop in said["crops"]] == [c.id for c in stored]
    assert [crop["time"] for crop in said["crops"]] == sorted(c.time for c in stored)
    answer = desk.get(f"{API}/{gallery}/items/{row.id}/frame")
    assert answer.headers["content-type"] == "image/jpeg"
    shown = np.asarray(Image.open(io.BytesIO(answer.content)), float)
    assert np.abs(shown - walk_frame(row.frame, 2)).mean() < 6
    crop = said["crops"][-1]
    of_crop = desk.get(f"{API}/{gallery}/items/{crop['id']}/source").json()
    assert of_crop["box"] == list(box_at(0, crop["frame"])) and len(of_crop["crops"]) == len(stored)


def test_a_clip_goes_from_before_to_after_and_is_given_in_parts(desk, filmed):
    gallery, row = filmed
    made = desk.post(f"{API}/{gallery}/items/{row.id}/clips", params={"before": 1, "after": 1})
    assert made.status_code == 201
    clip = made.json()
    assert clip["copied"] and clip["start"] + clip["at"] == pytest.approx(row.frame / 10, abs=0.01)
    url = f"{API}/{gallery}/clips/{clip['clip']}"
    whole = desk.get(url)
    assert whole.headers["accept-ranges"] == "bytes" and len(whole.content) == clip["bytes"]
    with av.open(io.BytesIO(whole.content)) as container:
        assert sum(1 for _ in container.decode(video=0)) >= 30
    size = clip["bytes"]
    for asked, part in {
        "bytes=0-0": slice(0, 1), "bytes=10-99": slice(10, 100), "bytes=100-": slice(100, None),
        "bytes=-50": slice(-50, None), f"bytes=5-{10 * size}": slice(5, None), f"bytes=-{2 * size}": slice(None),
    }.items():  # fmt: skip
        answer = desk.get(url, headers={"range": asked})
        assert answer.status_code == 206 and answer.content == whole.content[part]
        first = part.indices(size)[0]
        assert answer.headers["content-range"] == f"bytes {first}-{first + len(answer.content) - 1}/{size}"
    for asked in (f"bytes={size}-", "bytes=9-5", "bytes=-0", "bytes=0-1,4-5", "lines=1-2", "bytes=a-b", "bytes=-"):
        answer = desk.get(url, headers={"range": asked})
        assert answer.status_code == 416 and answer.headers["content-range"] == f"bytes */{size}"


def test_readers_may_look_each_look_is_entered_and_a_clip_is_its_askers_alone(
    tmp_path, service_with, filmed, store, fill
):
    gallery, row = filmed
    elsewhere = fill("elsewhere")
    callers = Callers(tmp_path, service_with, limits=FREE, sources=(tmp_path / "films",))
    reader = callers.client("reader")
    place = f"{API}/{gallery}/items/{row.id}"
    assert callers.client().get(f"{place}/source").status_code == 401
    assert reader.get(f"{place}/source").json()["state"] == "there"
    assert reader.get(f"{place}/frame").status_code == 200
    clip = reader.post(f"{place}/clips").json()["clip"]
    assert reader.get(f"{API}/{gallery}/clips/{clip}").status_code == 200
    assert callers.client("admin").get(f"{API}/{gallery}/clips/{clip}").status_code == 410
    assert reader.get(f"{API}/{elsewhere}/clips/{clip}").status_code == 410
    callers.app.state.service.views.close()
    seen = [e for e in store.entries(gallery) if e["who"] == "the-reader" and e["details"]["state"] == "done"]
    assert {"sources": 1, "frames": 1, "clips": 1}.items() <= seen[0]["details"].items()
    assert row.id in seen[0]["results"]


def test_what_cannot_be_shown_is_said_in_words(desk, filmed, film, service_with, tmp_path):
    gallery, row = filmed
    place = f"{API}/{gallery}/items/{row.id}"
    other = tmp_path / "others"
    other.mkdir()

    def state(client):
        said = client.get(f"{place}/source").json()
        refused = client.get(f"{place}/frame")
        assert said["words"] == refused.json()["error"] and client.post(f"{place}/clips").status_code >= 400
        assert len(said["crops"]) > 4, "the crops are there all the same"
        return said["state"], refused.status_code

    assert state(TestClient(create_app(service_with()), base_url=LOOPBACK)) == ("off", 404)
    assert state(TestClient(create_app(service_with(sources=(other,))), base_url=LOOPBACK)) == ("outside", 403)
    film.rename(film.with_suffix(".old"))
    assert state(desk) == ("gone", 404)
    with av.open(str(film), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 160, 96, "yuv420p"
        for _ in range(60):
            grey = np.full((96, 160, 3), 30, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(grey, format="rgb24")))
        container.mux(stream.encode(None))
    assert state(desk) == ("changed", 409)
    film.write_bytes(b"")
    assert state(desk) == ("unreadable", 422)


def test_a_clip_goes_with_its_row(desk, filmed, store):
    gallery, row = filmed
    clip = desk.post(f"{API}/{gallery}/items/{row.id}/clips").json()["clip"]
    service = desk.app.state.service
    service.removals.look()
    store.delete(gallery, Filter(ids=(row.id,)))
    service.removals.look()
    assert len(service.clips) == 0, "nobody asked for it again"
    assert desk.get(f"{API}/{gallery}/clips/{clip}").status_code == 410
    assert desk.get(f"{API}/{gallery}/items/{row.id}/source").status_code == 404


def test_a_row_from_an_image_has_a_frame_and_nothing_to_play(desk, own_gallery, store, engine, film):
    from unveil.gallery.ingest.images import add_images
    from unveil.records import Sample

    path = film.parent / "someone.png"
    Image.fromarray(walk_frame(20, 1)[10:70, 80:110]).save(path)
    add_images(store, own_gallery, engine=engine, samples=[Sample("someone", path, camera="door")])
    row = store.find(own_gallery, Filter(cameras=("door",)))[0]
    said = desk.get(f"{API}/{own_gallery}/items/{row.id}/source").json()
    assert (said["state"], said["box"], said["video"]) == ("there", None, False)
    refused = desk.post(f"{API}/{own_gallery}/items/{row.id}/clips")
    assert refused.status_code == 422 and "nothing to play" in refused.json()["error"]
