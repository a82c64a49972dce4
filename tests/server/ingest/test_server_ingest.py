"""Adding from the page, over the API: what may be named, what comes of it, pausing and cancelling, files in pieces."""

import os
import re
import socket
import threading
import time
from contextlib import contextmanager, suppress

import pytest
from fastapi.testclient import TestClient

from callers import FREE, LOOPBACK, Callers, encoded, person
from films import FigureDetector, breaking, write_film
from unveil.data.file_reads import longest_read
from unveil.errors import RecipeError
from unveil.gallery.ingest.works import Work
from unveil.gallery.records import Filter
from unveil.records import Sample
from unveil.server.app import create_app
from unveil.server.settings import Limits, named_streams
from waiting import until


@pytest.fixture
def folder(tmp_path):
    """A folder with two films, one that is damaged, a crop, and a link that leads out of it."""
    root = tmp_path / "films"
    (root / "monday").mkdir(parents=True)
    write_film(root / "monday" / "a.mp4", frames=40, people=1)
    write_film(root / "monday" / "b.mp4", frames=60, people=2)
    (root / "monday" / "broken.mp4").write_bytes((root / "monday" / "a.mp4").read_bytes()[:900])
    (root / "monday" / "c.png").write_bytes(encoded(person(3)))
    (tmp_path / "secret.mp4").write_bytes((root / "monday" / "a.mp4").read_bytes())
    (root / "monday" / "link.mp4").symlink_to(tmp_path / "secret.mp4")
    return root


@pytest.fixture
def serving(service_with, folder):
    """Return what starts a server that may add from the folder: its service and a client."""

    def start(detector=None, **settings):
        service = service_with(None, detector or FigureDetector(), **{"ingest": (folder,), "limits": FREE, **settings})
        return service, TestClient(create_app(service), base_url=LOOPBACK)

    return start


def ended(client, url, number, states=("done", "failed", "cancelled")):
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        job = next(job for job in client.get(url).json() if job["id"] == number)
        if job["state"] in states:
            return job
        time.sleep(0.05)
    raise AssertionError(job)


def begin(client, url, source, **more):
    answer = client.post(url, json={"source": str(source), **more})
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


def test_a_folder_is_added_with_its_errors_by_file(serving, folder, own_gallery, store):
    _, client = serving()
    url = f"/api/v1/galleries/{own_gallery}/ingests"
    before = store.info(own_gallery)
    number = begin(client, url, folder / "monday", camera="gate", start=1.7e9, tags=["rain"])
    job = ended(client, url, number)
    assert (job["state"], job["tracklets"], job["parts"], job["who"]) == ("done", 3, 5, "local")
    assert len(job["errors"]) == 2 and job["more_errors"] == 0
    assert any("broken.mp4" in line for line in job["errors"])
    assert any("link.mp4 lies in no folder" in line for line in job["errors"])
    rows = store.find(own_gallery, Filter(cameras=("gate",), rows="tracklet", tags=("rain",)))
    assert sum(row.kind == "tracklet" for row in rows) == 3 and len(rows) == 4  # and the crop
    assert min(row.time for row in rows) >= 1.7e9
    assert store.info(own_gallery).crops - before.crops == job["crops"]
    entries = [e for e in store.entries(own_gallery) if e["action"] == "add"][-2:]
    assert [e["details"]["state"] for e in entries] == ["begun", "done"]
    assert entries[1]["details"]["tracklets"] == 3 and entries[1]["details"]["job"] == number
    again = ended(client, url, begin(client, url, folder / "monday", camera="gate", start=1.7e9, tags=["rain"]))
    assert (again["crops"], again["tracklets"], again["known"]) == (0, 0, 4)


def test_only_what_lies_in_the_operators_folders_may_be_named(serving, folder, own_gallery, tmp_path, service_with):
    _, client = serving()
    url = f"/api/v1/galleries/{own_gallery}"
    refused = {
        str(tmp_path / "secret.mp4"): 403, str(folder / "monday" / "link.mp4"): 403, "/etc/passwd": 403,
        str(folder / ".." / "secret.mp4"): 403, str(folder / "monday" / "none.mp4"): 404, "rtsp://camera/1": 422,
    }  # fmt: skip
    for source, status in refused.items():
        answer = client.post(f"{url}/ingests", json={"source": source})
        assert answer.status_code == status, (source, answer.text)
    roots = client.get(f"{url}/places").json()["entries"]
    assert [(entry["path"], entry["folder"]) for entry in roots] == [(str(folder), True)]
    inside = client.get(f"{url}/places", params={"under": str(folder / "monday")}).json()["entries"]
    assert [entry["name"] for entry in inside] == ["a.mp4", "b.mp4", "broken.mp4", "c.png"]
    assert client.get(f"{url}/places", params={"under": str(tmp_path)}).status_code == 403
    closed = TestClient(create_app(service_with()), base_url=LOOPBACK)
    answer = closed.post(f"{url}/ingests", json={"source": str(folder / "monday" / "a.mp4")})
    assert answer.status_code == 404 and "unveil serve --ingest FOLDER" in answer.json()["error"]


def test_a_job_waits_while_it_is_paused_and_another_waits_for_it(serving, folder, own_gallery, store):
    frames, held = threading.Semaphore(0), threading.Semaphore(0)

    def pause():
        held.release()
        frames.acquire()

    _, client = serving(FigureDetector(pause))
    url = f"/api/v1/galleries/{own_gallery}/ingests"
    first = begin(client, url, folder / "monday" / "b.mp4", camera="gate")
    second = begin(client, url, folder / "monday" / "a.mp4", camera="gate")
    assert client.post(url, json={"source": str(folder / "monday" / "a.mp4")}).status_code == 422
    held.acquire(timeout=60)
    assert client.put(f"{url}/{first}", json={"action": "pause"}).json()["state"] == "paused"
    frames.release()  # the frame under way
    jobs = {job["id"]: job for job in client.get(url).json()}
    assert (jobs[first]["state"], jobs[second]["state"]) == ("paused", "waiting")
    assert not held.acquire(timeout=1), "no other frame is looked at while it is paused"
    assert client.put(f"{url}/{first}", json={"action": "pause"}).status_code == 422
    assert client.put(f"{url}/{first}", json={"action": "resume"}).json()["state"] == "running"
    for _ in range(200):
        frames.release()
    assert ended(client, url, first)["tracklets"] == 2
    assert ended(client, url, second)["tracklets"] == 1
    assert client.put(f"{url}/{first}", json={"action": "cancel"}).status_code == 422
    assert client.put(f"{url}/{first}", json={"action": "explode"}).status_code == 422


def test_a_cancelled_job_goes_on_where_it_was_when_it_is_named_again(serving, tmp_path, folder, own_gallery, store):
    film = write_film(folder / "long.mp4", frames=400, people=1)  # nobody from frame 34 on: states are kept
    seen = []
    stop = threading.Event()

    def watch():
        seen.append(1)
        if len(seen) > 250:
            stop.wait(60)

    _, client = serving(FigureDetector(watch))
    url = f"/api/v1/galleries/{own_gallery}/ingests"
    number = begin(client, url, film, camera="gate", fps=10)
    deadline = time.monotonic() + 120
    while len(seen) <= 250:
        assert time.monotonic() < deadline, f"{len(seen)} frames in two minutes"
        time.sleep(0.02)
    waiting = begin(client, url, folder / "monday" / "a.mp4")
    assert client.put(f"{url}/{waiting}", json={"action": "cancel"}).json()["state"] == "cancelled"
    client.put(f"{url}/{number}", json={"action": "cancel"})
    stop.set()
    job = ended(client, url, number)
    assert job["state"] == "cancelled"
    entry = [e for e in store.entries(own_gallery) if e["action"] == "add"][-1]
    assert entry["details"]["state"] == "failed" and entry["details"]["error"] == "CancelledError"
    before = len(seen)
    again = ended(client, url, begin(client, url, film, camera="gate", fps=10))
    assert again["state"] == "done" and len(seen) - before < 350, "what was done is not done again"
    rows = store.find(own_gallery, Filter(cameras=("gate",), rows="tracklet"))
    assert len(rows) == 1


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_server_ends_while_a_file_of_a_job_does_not_come(serving, folder, own_gallery, monkeypatch):
    service, client = serving()
    late = folder / "late.png"
    os.mkfifo(late)
    work = Work("share", "images", (Sample(late.name, late),))
    monkeypatch.setattr("unveil.server.ingest.runner.works_in_folder", lambda place, **_: ([work], ""))
    begin(client, f"/api/v1/galleries/{own_gallery}/ingests", folder)
    until(lambda: longest_read() > 0)
    monkeypatch.setattr("unveil.server.ingest.jobs.LEAVE", 0.01)
    service.close()
    assert [thread.is_alive() for thread in threading.enumerate() if thread.name == "ingest"] == [True]
    late.write_bytes(encoded(person(3)))  # the job ends as one that was cancelled
    until(lambda: not [thread for thread in threading.enumerate() if thread.name in ("ingest", "prefetch")])


def test_a_reader_may_add_nothing(tmp_path, service_with, folder, own_gallery):
    callers = Callers(tmp_path, service_with, ingest=(folder,), uploads=tmp_path)
    reader = callers.client("reader")
    url = f"/api/v1/galleries/{own_gallery}"
    assert reader.get(f"{url}/places").status_code == reader.get(f"{url}/ingests").status_code == 403
    assert reader.post(f"{url}/ingests", json={"source": "x"}).status_code == 403
    assert reader.post(f"{url}/uploads", json={"name": "a.mp4", "bytes": 5}).status_code == 403


def test_a_film_that_is_sent_in_pieces_is_whole_or_not_there(tmp_path, serving, folder, own_gallery, store):
    place = tmp_path / "sent"
    place.mkdir()
    service, client = serving(uploads=place, limits=Limits(rate=0, refused=0, video=10_000_000))
    url = f"/api/v1/galleries/{own_gallery}"
    data = (folder / "monday" / "b.mp4").read_bytes()
    made = client.post(f"{url}/uploads", json={"name": "../../up/gate 1.mp4", "bytes": len(data)}).json()
    half = len(data) // 2
    assert client.post(f"{url}/uploads/{made['upload']}?offset=0", content=data[:half]).json()["received"] == half
    wrong = client.post(f"{url}/uploads/{made['upload']}?offset=7", content=data[7:])
    assert wrong.status_code == 409 and f"at byte {half}" in wrong.json()["error"]
    assert not list(place.rglob("*.mp4"))
    whole = client.post(f"{url}/uploads/{made['upload']}?offset={half}", content=data[half:]).json()
    assert whole == {"received": len(data), "source": str(place / own_gallery / "gate 1.mp4")}
    assert (place / own_gallery / "gate 1.mp4").read_bytes() == data
    for other in ("gate 1 (2).mp4", "gate 1 (3).mp4"):  # nothing that was sent before is written over
        made = client.post(f"{url}/uploads", json={"name": "gate 1.mp4", "bytes": 5}).json()
        sent = client.post(f"{url}/uploads/{made['upload']}?offset=0", content=other.encode()[:5]).json()
        assert sent["source"] == str(place / own_gallery / other)
    assert (place / own_gallery / "gate 1.mp4").read_bytes() == data
    job = ended(client, f"{url}/ingests", begin(client, f"{url}/ingests", whole["source"], camera="sent"))
    assert (job["state"], job["tracklets"]) == ("done", 2)
    row = store.find(own_gallery, Filter(cameras=("sent",), rows="tracklet"))[0]
    assert client.get(f"{url}/items/{row.id}/source").json()["state"] == "there"
    for name, size, status in (("a.exe", 5, 422), ("a.mp4", 10_000_001, 413), ("a.mp4", 0, 422), (".mp4", 5, 422)):
        assert client.post(f"{url}/uploads", json={"name": name, "bytes": size}).status_code == status, name
    left = client.post(f"{url}/uploads", json={"name": "a.mp4", "bytes": 9}).json()["upload"]
    client.post(f"{url}/uploads/{left}", content=b"1234")
    assert list((place / own_gallery).glob(".*.part"))
    assert client.delete(f"{url}/uploads/{left}").status_code == 204
    assert client.post(f"{url}/uploads/{left}?offset=4", content=b"5").status_code == 410
    for _ in range(4):
        client.post(f"{url}/uploads", json={"name": "a.mp4", "bytes": 9})
    assert client.post(f"{url}/uploads", json={"name": "a.mp4", "bytes": 9}).status_code == 429
    service.close()
    assert not list(place.rglob("*.part"))


@contextmanager
def camera(film):
    """A camera on the network that sends a film again and again, to whoever asks, until the block ends."""
    server, over = socket.create_server(("127.0.0.1", 0)), threading.Event()
    server.settimeout(0.2)

    def serve():
        while not over.is_set():
            try:
                connection, _ = server.accept()
            except TimeoutError:
                continue
            with connection, suppress(OSError):
                connection.sendall(film.read_bytes())

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"tcp://me:secret@127.0.0.1:{server.getsockname()[1]}"
    finally:
        over.set()
        thread.join()
        server.close()


def test_a_stream_is_added_by_its_name_beside_films_until_it_is_cancelled(
    serving, folder, own_gallery, store, tmp_path, monkeypatch
):
    monkeypatch.setattr("unveil.video.prefetch.WAITING", 1000)  # this camera sends faster than any
    monkeypatch.setattr("unveil.server.ingest.runner.DAY_OF_WAITS", (0.05,) * 1000)
    url = f"/api/v1/galleries/{own_gallery}"
    with camera(write_film(tmp_path / "live.ts", frames=70, people=1)) as address:
        _, client = serving(streams={"gate": address})
        places = client.get(f"{url}/places").json()["entries"]
        assert {"name": "gate", "path": "live:gate", "folder": False, "live": True} in places
        number = begin(client, f"{url}/ingests", "live:gate")
        assert "already" in client.post(f"{url}/ingests", json={"source": "live:gate"}).json()["error"]
        film = begin(client, f"{url}/ingests", "monday/a.mp4")
        assert ended(client, f"{url}/ingests", film)["state"] == "done", "a stream keeps no film waiting"
        deadline = time.monotonic() + 60
        while not store.find(own_gallery, Filter(cameras=("gate",)), limit=10) and time.monotonic() < deadline:
            time.sleep(0.1)
        rows = store.find(own_gallery, Filter(cameras=("gate",)), limit=10)
        assert rows and all("secret" not in row.source for row in rows), "the camera is called as the stream is"
        assert client.put(f"{url}/ingests/{number}", json={"action": "cancel"}).status_code == 200
        job = ended(client, f"{url}/ingests", number)
    assert job["state"] == "cancelled" and "secret" not in str(job)
    entries = [entry for entry in store.entries(own_gallery) if entry["action"] == "add"]
    assert "secret" not in str(entries) and "tcp://127.0.0.1" in str(entries)


def test_a_stream_that_is_down_can_be_cancelled_and_what_it_gave_is_counted_all_the_while(
    serving, own_gallery, store, tmp_path, monkeypatch
):
    monkeypatch.setattr("unveil.video.prefetch.WAITING", 1000)
    monkeypatch.setattr("unveil.gallery.ingest.video_pass.SAVE", 1.0)
    monkeypatch.setattr("unveil.server.ingest.runner.DAY_OF_WAITS", (600.0,))
    url = f"/api/v1/galleries/{own_gallery}/ingests"
    with breaking(write_film(tmp_path / "live.ts", 90, 2, 60), 1) as address:
        _, client = serving(streams={"gate": address})
        number = begin(client, url, "live:gate", fps=10)
        until(lambda: client.get(url).json()[0]["done"] == 90)  # all frames were seen, and no other comes
        running = client.get(url).json()[0]
        assert (running["state"], running["tracklets"], running["crops"]) == ("running", 1, 4)
        client.put(f"{url}/{number}", json={"action": "cancel"})
        job = ended(client, url, number)
    assert (job["state"], job["tracklets"], job["crops"]) == ("cancelled", 2, 8)
    entry = [e for e in store.entries(own_gallery) if e["action"] == "add"][-1]
    assert (entry["details"]["tracklets"], entry["details"]["crops"]) == (2, 8)


def test_a_server_that_ends_waits_for_what_a_stream_writes(serving, own_gallery, store, tmp_path, monkeypatch):
    monkeypatch.setattr("unveil.video.prefetch.WAITING", 1000)
    monkeypatch.setattr("unveil.server.ingest.runner.DAY_OF_WAITS", (600.0,))
    monkeypatch.setattr("unveil.server.ingest.jobs.LEAVE", 0.5)
    url = f"/api/v1/galleries/{own_gallery}/ingests"
    with breaking(write_film(tmp_path / "live.ts", 70, 1), 1) as address:
        service, client = serving(streams={"gate": address})
        begin(client, url, "live:gate", fps=10)
        until(lambda: client.get(url).json()[0]["done"] == 70)
        writing, go_on, add = threading.Event(), threading.Event(), store.add

        def late(*given, **named):
            writing.set()
            go_on.wait(60)
            return add(*given, **named)

        monkeypatch.setattr(service.store, "add", late)
        closing = threading.Thread(target=service.close)
        closing.start()
        assert writing.wait(60)
        closing.join(1)
        assert closing.is_alive()
        go_on.set()
        closing.join(60)
    assert store.find(own_gallery, Filter(cameras=("gate",)), limit=10)


def test_a_stream_that_nobody_named_or_that_is_not_there_is_one_sentence(serving, own_gallery):
    _, client = serving(streams={"gate": "tcp://127.0.0.1:9"})
    url = f"/api/v1/galleries/{own_gallery}/ingests"
    answer = client.post(url, json={"source": "live:yard"})
    assert answer.status_code == 404 and "live:gate" in answer.json()["error"]
    none = serving()[1].post(url, json={"source": "live:yard"})
    assert none.status_code == 404 and none.json()["error"].endswith("none")
    answer = client.post(url, json={"source": "rtsp://127.0.0.1/1"})
    assert answer.status_code == 422 and "--stream NAME=ADDRESS" in answer.json()["error"]
    job = ended(client, url, begin(client, url, "live:gate"))
    assert job["state"] == "failed" and len(job["errors"]) == 1


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        (("gate",), "got no '='"),
        (("=rtsp://a/1",), "got =rtsp://a/1"),
        (("gate=/films",), "got gate=/films"),
        (("the gate=rtsp://me:secret@a/1",), "got the gate=rtsp://a/1"),
        (("a=tcp://a:1", "a=tcp://b:1"), "two streams are called a"),
    ],
)
def test_names_of_streams_that_are_none(texts, said):
    with pytest.raises(RecipeError, match=f"^--stream: .*{re.escape(said)}$"):
        named_streams(texts)


def test_an_address_of_a_stream_may_hold_a_password_and_an_equals_sign():
    address = "rtsp://me:secret@a/1?channel=2"
    assert named_streams((f"gate={address}",)) == {"gate": address}
