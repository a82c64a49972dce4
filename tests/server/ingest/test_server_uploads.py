"""What was sent to be added: open to its gallery alone, whatever it is called, and nothing of it left half."""

import os
import time

import pytest
from fastapi import HTTPException
from fastapi.testclient import TestClient

from callers import FREE, LOOPBACK, Callers, encoded, person
from films import FigureDetector
from unveil.gallery.records import Filter
from unveil.gallery.sources.roots import SourceMissingError, SourceRoots
from unveil.server.access.tokens import Caller, new_token
from unveil.server.app import create_app
from unveil.server.ingest.records import ENDED
from unveil.server.ingest.uploads import IDLE_SECONDS, Uploads
from waiting import until

CALLER = Caller("ann", "operator", ())


def sent(client, gallery, name, data=None):
    """Send a file in one piece; return where it is."""
    data = encoded(person(3)) if data is None else data
    url = f"/api/v1/galleries/{gallery}/uploads"
    made = client.post(url, json={"name": name, "bytes": len(data)})
    assert made.status_code == 201, made.text
    answer = client.post(f"{url}/{made.json()['upload']}", content=data)
    assert answer.status_code == 200, answer.text
    return answer.json()["source"]


@pytest.fixture
def two(tmp_path, service_with, fill):
    """Two galleries to each of which an image was sent, uploads in a folder that may be named, and who may see one."""
    here, there = fill(f"mine{tmp_path.name[-4:]}u"), fill(f"theirs{tmp_path.name[-4:]}u")
    films = tmp_path / "films"
    (films / "sent").mkdir(parents=True)
    (films / "free.png").write_bytes(encoded(person(1)))
    callers = Callers(
        tmp_path, service_with, detector=FigureDetector(), ingest=(films,), uploads=films / "sent", limits=FREE
    )
    limited = callers.client(token=new_token(callers.file, "limited", role="operator", galleries=(here,)))
    paths = {name: sent(callers.client("admin"), name, f"of-{name}.png") for name in (here, there)}
    return here, there, films, limited, paths


def test_what_was_sent_to_a_gallery_is_listed_and_added_for_no_other(two):
    here, there, films, limited, paths = two
    url = f"/api/v1/galleries/{here}"
    places = limited.get(f"{url}/places").json()["entries"]
    assert [place["path"] for place in places] == [str(films), str(films / "sent" / here)]
    for folder, found in ((films, ["free.png"]), (films / "sent" / here, [f"of-{here}.png"])):
        inside = limited.get(f"{url}/places", params={"under": str(folder)}).json()["entries"]
        assert [entry["name"] for entry in inside] == found
    refused = {
        str(films / "sent"): 403, str(films / "sent" / there): 403, paths[there]: 403,
        f"{films}/sent/{here}/../{there}": 403, f"sent/{there}": 404, f"sent/{there}/of-{there}.png": 404,
        str(films / "sent" / there / "none.png"): 403,
    }  # fmt: skip
    for source, status in refused.items():
        assert limited.get(f"{url}/places", params={"under": source}).status_code == status, source
        assert limited.post(f"{url}/ingests", json={"source": source}).status_code == status, source
    assert limited.post(f"{url}/ingests", json={"source": paths[here]}).status_code == 201
    assert limited.get(f"/api/v1/galleries/{there}/places").status_code == 404


def test_a_folder_around_the_uploads_is_added_without_them_and_without_their_names(two, store):
    here, there, films, limited, _ = two
    url = f"/api/v1/galleries/{here}/ingests"
    assert limited.post(url, json={"source": str(films), "camera": "around"}).status_code == 201
    until(lambda: limited.get(url).json()[0]["state"] in ENDED)
    [job] = limited.get(url).json()
    assert (job["state"], job["errors"], job["crops"]) == ("done", [], 1) and there not in str(job)
    assert any("1 folder that cannot be opened (sent)" in note for note in job["notes"])
    assert len(store.find(here, Filter(cameras=("around",)))) == 1


def test_a_folder_that_was_named_inside_the_uploads_is_open(tmp_path):
    (tmp_path / "shared").mkdir()
    (tmp_path / "theirs").mkdir()
    roots = SourceRoots([tmp_path, tmp_path / "shared"], uploads=tmp_path).of("mine")
    assert roots.listed() == [(tmp_path / "shared", True)], "nothing was sent to this gallery yet"
    assert roots.find("shared") == tmp_path / "shared"
    for closed in (tmp_path, tmp_path / "theirs"):
        with pytest.raises(SourceMissingError, match="lies in no folder"):
            roots.find(str(closed))


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("映" * 102 + ".mp4", "映" * 65 + ".mp4"),
        ("é" * 150 + ".png", "é" * 98 + ".png"),
        ("a" * 295 + ".webm", "a" * 195 + ".webm"),
        ("a" * 40 + "." * 195 + "b.mp4", "b.mp4"),
        ("映画.mp4", "映画.mp4"),
    ],
)
def test_a_long_name_is_cut_to_what_a_disk_takes_and_keeps_its_ending(tmp_path, service_with, gallery, name, kept):
    client = TestClient(create_app(service_with(uploads=tmp_path, limits=FREE)), base_url=LOOPBACK)
    assert sent(client, gallery, name, b"12345") == str(tmp_path / gallery / kept)
    stem, ending = kept.rsplit(".", 1)
    assert sent(client, gallery, name, b"67890") == str(tmp_path / gallery / f"{stem} (2).{ending}")
    assert (tmp_path / gallery / kept).read_bytes() == b"12345"


def test_a_file_that_cannot_be_named_can_be_sent_again_or_goes(tmp_path, monkeypatch):
    uploads = Uploads(tmp_path, most=100)
    token = uploads.begin(CALLER, "station", name="a.mp4", size=4)
    assert uploads.take(CALLER, "station", token=token, offset=0, data=b"12") == (2, None)
    with monkeypatch.context() as broken:
        broken.setattr("unveil.server.ingest.uploads._free", lambda path: tmp_path / "none" / ("x" * 300))
        with pytest.raises(HTTPException) as refused:
            uploads.take(CALLER, "station", token=token, offset=2, data=b"34")
        assert refused.value.status_code == 507 and "send it again" in refused.value.detail
    final = tmp_path / "station" / "a.mp4"
    assert uploads.take(CALLER, "station", token=token, offset=2, data=b"34") == (4, final)
    assert final.read_bytes() == b"1234"
    with pytest.raises(HTTPException):
        uploads.take(CALLER, "station", token=token, offset=4, data=b"")
    gone = uploads.begin(CALLER, "station", name="b.mp4", size=4)
    uploads.take(CALLER, "station", token=gone, offset=0, data=b"12")
    next(tmp_path.glob("*/.*.part")).unlink()
    with pytest.raises(HTTPException) as refused:
        uploads.take(CALLER, "station", token=gone, offset=2, data=b"34")
    assert refused.value.status_code == 507, "no file that begins with zeros"
    uploads.close()
    assert [path.name for path in (tmp_path / "station").iterdir()] == ["a.mp4"]


def test_what_a_killed_server_left_goes_and_what_another_is_still_sent_stays(tmp_path):
    killed, other = Uploads(tmp_path, most=100), Uploads(tmp_path, most=100)
    killed.begin(CALLER, "station", name="a.mp4", size=4)
    [old] = tmp_path.glob("*/.*.part")
    token = other.begin(CALLER, "yard", name="b.mp4", size=4)
    (tmp_path / "station" / "film.part").write_bytes(b"x")
    hours_ago = time.time() - IDLE_SECONDS - 60
    for path in (old, tmp_path / "station" / "film.part"):
        os.utime(path, (hours_ago, hours_ago))
    again = Uploads(tmp_path, most=100)
    assert not old.exists() and (tmp_path / "station" / "film.part").exists()
    assert other.take(CALLER, "yard", token=token, offset=0, data=b"1234")[0] == 4
    mine = again.begin(CALLER, "yard", name="c.mp4", size=4)
    for path in tmp_path.glob("*/.*.part"):
        os.utime(path, (hours_ago, hours_ago))  # as where somebody set the clock
    again.tidy()
    assert again.take(CALLER, "yard", token=mine, offset=0, data=b"1234")[0] == 4
