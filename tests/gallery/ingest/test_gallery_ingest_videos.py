"""Videos and live streams into a real store, by a real model."""

from __future__ import annotations

import socket
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from ingested import render_frames, rows, same

from films import box_at, breaking, write_film
from unveil.errors import DataError
from unveil.gallery.ingest.adding import Added
from unveil.gallery.ingest.video import add_video
from unveil.gallery.ingest.video_settings import VideoSettings
from unveil.gallery.records import Filter
from unveil.video.decode import Video
from unveil.video.detectors.detect import load_detector
from unveil.video.detectors.precomputed import GivenBoxes


def add_live(store, engine, *, address: str, boxes: Path, waits: tuple[float, ...], again: bool = False) -> Added:
    """Add the live stream of a camera at the gate."""
    settings = VideoSettings("gate", waits=waits)
    return add_video(
        store, "shop", engine=engine, source=address, detector=GivenBoxes(boxes), settings=settings, again=again
    )


def test_each_person_of_a_video_is_one_tracklet_with_its_best_crops(store, engine, tmp_path):
    path, boxes = render_frames(tmp_path)
    settings = VideoSettings("gate", 1.7e9, ("day",), crops=3)
    added = add_video(store, "shop", engine=engine, source=path, detector=GivenBoxes(boxes), settings=settings)
    assert (added.tracklets, added.crops, added.bad) == (3, 9, ())
    assert added.frames == 190 and added.footage == pytest.approx(18.9, abs=0.01)
    found = store.find("shop", Filter(), limit=100)
    whole = [i for i in found if i.kind == "tracklet"]
    with Video(path) as video:
        frames = {f.number: f for f in video.frames()}
    for person, item in enumerate(sorted(whole, key=lambda i: i.time)):
        seen = [n for n in frames if box_at(person, n, 60)]
        # The tracker names a track from its second box on.
        assert item.time == pytest.approx(1.7e9 + seen[1] / 10, abs=0.02)
        assert item.end == pytest.approx(1.7e9 + seen[-1] / 10, abs=0.02)
        members = [c for c in found if c.tracklet == item.key]
        assert len(members) == item.crops == 3
        assert max(m.time for m in members) - min(m.time for m in members) > 1, "from all over its time"
        for crop in members:
            assert crop.box == box_at(person, crop.frame, 60) and crop.camera == "gate" and crop.tags == ("day",)
            assert crop.time == pytest.approx(1.7e9 + crop.frame / 10, abs=0.02) and crop.source == str(path)
            x, y, w, h = crop.box
            own = engine.embed([frames[crop.frame].image[y : y + h, x : x + w]])
            _, kept = store.embeddings("shop", [crop.id])
            assert np.allclose(kept.vectors, own.vectors, atol=2e-3, rtol=2e-3)
    again = add_video(store, "shop", engine=engine, source=path, detector=GivenBoxes(boxes), settings=settings)
    assert (again.crops, again.tracklets, again.known, again.frames) == (0, 0, 3, 0)
    assert store.info("shop").crops == 9


def test_tracks_and_names_of_a_file_are_taken(store, engine, tmp_path):
    path, boxes = render_frames(tmp_path, tracks=True)
    boxes.write_text(boxes.read_text().replace("track", "person"))
    add_video(store, "shop", engine=engine, source=path, detector=GivenBoxes(boxes))
    whole = [i for i in store.find("shop", Filter(rows="tracklet"), limit=100) if i.kind == "tracklet"]
    assert sorted(i.person for i in whole) == ["p0", "p1", "p2"]
    assert min(i.time for i in whole) == 0, "a track of the file begins with its first box"


def test_other_settings_are_refused_until_the_video_is_added_again(store, engine, tmp_path):
    path, boxes = render_frames(tmp_path, 1)
    add_video(store, "shop", engine=engine, source=path, detector=GivenBoxes(boxes))
    other = VideoSettings(every=2)
    with pytest.raises(DataError, match=r"every=1.*every=2.*--again"):
        add_video(store, "shop", engine=engine, source=path, detector=GivenBoxes(boxes), settings=other)
    before = set(rows(store, "shop"))
    add_video(store, "shop", engine=engine, source=path, detector=GivenBoxes(boxes), settings=other, again=True)
    after = [i for i, _ in rows(store, "shop").values()]
    assert before != {i.key for i in after} and all(i.frame % 2 == 0 for i in after)
    assert store.info("shop").tracklets == 1


def test_again_removes_what_the_video_gave_whatever_its_path_was(store, engine, tmp_path, monkeypatch):
    path, boxes = render_frames(tmp_path, 2)
    other = write_film(tmp_path / "other.mp4", 70, 1, 60)
    monkeypatch.chdir(tmp_path)
    for source in (path.name, other):
        add_video(store, "shop", engine=engine, source=source, detector=GivenBoxes(boxes))
    kept = {key: item for key, (item, _) in rows(store, "shop").items() if item.source == str(other)}
    added = add_video(
        store, "shop", engine=engine, source=path, detector=GivenBoxes(boxes), settings=VideoSettings("yard"),
        again=True,
    )  # fmt: skip
    assert (added.tracklets, added.known, added.removed) == (2, 0, 10)
    assert "10 rows from before removed" in str(added)
    found = {key: item for key, (item, _) in rows(store, "shop").items()}
    assert {key: item for key, item in found.items() if item.source == str(other)} == kept
    assert {item.camera for key, item in found.items() if key not in kept} == {"yard"}
    assert {item.source for item in found.values()} == {str(path), str(other)}
    path.rename(tmp_path / "moved.mp4")
    moved = add_video(
        store, "shop", engine=engine, source=tmp_path / "moved.mp4", detector=GivenBoxes(boxes), again=True
    )
    assert (moved.tracklets, moved.removed) == (2, 10) and len(rows(store, "shop")) == len(found)


@pytest.mark.parametrize("step", ["before the rows go", "after"])
@pytest.mark.parametrize("again", [True, False])
def test_killed_while_what_it_gave_is_removed_a_video_is_processed_whole(
    store, engine, tmp_path, monkeypatch, step, again
):
    path, boxes = render_frames(tmp_path, 1)
    add_video(store, "shop", engine=engine, source=path, detector=GivenBoxes(boxes))
    whole = rows(store, "shop")
    delete = store.delete

    def killed(name: str, where: Filter) -> int:
        if step == "after":
            delete(name, where)
        raise KeyboardInterrupt

    with monkeypatch.context() as cut, pytest.raises(KeyboardInterrupt):
        cut.setattr(store, "delete", killed)
        add_video(store, "shop", engine=engine, source=path, detector=GivenBoxes(boxes), again=True)
    settings = VideoSettings("yard")
    added = add_video(
        store, "shop", engine=engine, source=path, detector=GivenBoxes(boxes), settings=settings, again=again
    )
    assert (added.tracklets, added.known, added.removed) == (1, 0, 0 if step == "after" else 5)
    found = rows(store, "shop")
    assert found.keys() == whole.keys() and {item.camera for item, _ in found.values()} == {"yard"}
    done = add_video(store, "shop", engine=engine, source=path, detector=GivenBoxes(boxes), settings=settings)
    assert (done.known, done.removed, done.frames) == (1, 0, 0)


def test_stopping_after_some_seconds_and_going_on_later_gives_the_whole(store, engine, tmp_path):
    path, boxes = render_frames(tmp_path)
    # At 5.5 s the first person has left and the second has not come.
    first = add_video(
        store, "parts", engine=engine, source=path, detector=GivenBoxes(boxes), settings=VideoSettings(seconds=5.5)
    )
    assert first.tracklets == 1 and first.footage == pytest.approx(5.4, abs=0.01)
    assert first.bad == (), "what was not asked for is not missing"
    rest = add_video(store, "parts", engine=engine, source=path, detector=GivenBoxes(boxes))
    assert rest.tracklets == 2 and rest.frames == 190 - 55
    add_video(store, "whole", engine=engine, source=path, detector=GivenBoxes(boxes))
    same(rows(store, "parts"), rows(store, "whole"))


def test_a_video_without_people_and_a_damaged_one(store, engine, tmp_path):
    empty = write_film(tmp_path / "empty.mp4", 30, people=0)
    added = add_video(store, "shop", engine=engine, source=empty, detector=load_detector(None))
    assert (added.frames, added.boxes, added.tracklets, added.bad) == (30, 0, 0, ())
    assert store.info("shop").crops == 0
    path, boxes = render_frames(tmp_path)
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 3000] = bytes(3000)
    (tmp_path / "bad.mp4").write_bytes(data)
    added = add_video(store, "shop", engine=engine, source=tmp_path / "bad.mp4", detector=GivenBoxes(boxes))
    assert added.tracklets >= 2 and len(added.bad) == 1 and "bad.mp4" in added.bad[0]
    (tmp_path / "none.mp4").write_bytes(b"none")
    with pytest.raises(DataError, match=r"none\.mp4"):
        add_video(store, "shop", engine=engine, source=tmp_path / "none.mp4", detector=GivenBoxes(boxes))


def test_a_live_stream_begins_now_and_keeps_no_state(store, engine, tmp_path, monkeypatch):
    monkeypatch.setattr("unveil.video.prefetch.WAITING", 1000)  # this camera sends faster than any
    _, boxes = render_frames(tmp_path, 1)
    stream = write_film(tmp_path / "live.ts", 70, 1, 60)
    port = 0
    for turn in range(2):
        server = socket.create_server(("127.0.0.1", port))
        port = server.getsockname()[1]

        def serve(server=server) -> None:
            connection, _ = server.accept()
            with connection:
                connection.sendall(stream.read_bytes())

        thread = threading.Thread(target=serve)
        thread.start()
        before = time.time()
        address = f"tcp://me:secret@127.0.0.1:{port}"
        added = add_live(store, engine, address=address, boxes=boxes, waits=(), again=bool(turn))
        thread.join()
        server.close()
        assert (added.tracklets, added.dropped) == (1, 0) and "secret" not in str(added)
        assert store.info("shop").tracklets == turn + 1, "another day is another video"
    newest = max(store.find("shop", Filter(rows="tracklet"), limit=10), key=lambda i: i.time)
    assert before - 20 < newest.time < time.time() + 10 and "secret" not in newest.source


def test_nobody_is_followed_across_a_break_of_a_live_stream(store, engine, tmp_path, monkeypatch):
    monkeypatch.setattr("unveil.video.prefetch.WAITING", 1000)
    stream = write_film(tmp_path / "live.ts", 20, 1)
    boxes = tmp_path / "boxes.csv"
    # The same track by name, and the same place: only the break parts them.
    lines = [f"{number},{','.join(map(str, box_at(0, number % 20)))},p0" for number in range(40)]
    boxes.write_text("\n".join(["frame,x,y,width,height,track", *lines]))
    with breaking(stream, 2) as address:
        added = add_live(store, engine, address=address, boxes=boxes, waits=(0.05, 0.05))
    assert (added.frames, added.tracklets, added.reopened, added.dropped) == (40, 2, 1, 0)
    assert added.footage == pytest.approx(3.8, abs=0.05), "without the break"
    assert len(added.bad) == 1 and "in vain: 2" in added.bad[0]
    assert "opened again: 1" in str(added)
    first, second = sorted(
        (i for i in store.find("shop", Filter(rows="tracklet"), limit=10) if i.kind == "tracklet"), key=lambda i: i.time
    )
    assert first.end - first.time == pytest.approx(1.9, abs=0.05) == second.end - second.time
    assert second.time > first.end


def test_a_long_stay_is_cut_and_every_part_kept(store, engine, tmp_path, monkeypatch):
    monkeypatch.setattr("unveil.gallery.ingest.video_pass.CUT", 2.0)
    path, boxes = render_frames(tmp_path, 1)
    added = add_video(store, "shop", engine=engine, source=path, detector=GivenBoxes(boxes))
    assert added.tracklets == 2
    whole = sorted((i for i, _ in rows(store, "shop").values() if i.kind == "tracklet"), key=lambda i: i.time)
    assert whole[0].end <= 2.01 < whole[1].time < 2.3
