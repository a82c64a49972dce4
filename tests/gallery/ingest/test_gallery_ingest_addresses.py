"""Recordings at addresses, by what they are known; and live streams that are ended, of which nothing seen is lost."""

from __future__ import annotations

from pathlib import Path

import pytest
from ingested import render_frames, rows

from file_server import serve_files
from films import breaking, write_boxes, write_film
from unveil.gallery.ingest.adding import Added, counted, key_of
from unveil.gallery.ingest.video import add_video
from unveil.gallery.ingest.video_settings import VideoSettings
from unveil.gallery.records import Filter
from unveil.progress import observed
from unveil.video.decode import Video
from unveil.video.detectors.precomputed import GivenBoxes


class EndedError(Exception):
    """Somebody ended a stream."""


@pytest.fixture
def add(store, engine, tmp_path):
    """Return what adds a video of one person to the gallery "shop"."""
    boxes = write_boxes(tmp_path / "one.csv", 70, 1, 60)

    def added(source: str, **options) -> Added:
        settings = VideoSettings("gate", waits=())
        detector = GivenBoxes(boxes)
        return add_video(store, "shop", engine=engine, source=source, detector=detector, settings=settings, **options)

    return added


@pytest.fixture
def two_days(tmp_path) -> tuple[bytes, bytes]:
    """Two recordings of one length and size."""
    monday = write_film(tmp_path / "monday.mp4", 70, 1, 60).read_bytes()
    tuesday = write_film(tmp_path / "tuesday.mp4", 70, 2, 0).read_bytes()
    size = max(len(monday), len(tuesday)) + 8
    monday, tuesday = (day + (size - len(day)).to_bytes(4, "big") + b"free" for day in (monday, tuesday))
    return monday.ljust(size, b"\0"), tuesday.ljust(size, b"\0")


def test_another_recording_of_one_length_and_size_at_an_address_is_another(add, two_days):
    with serve_files() as server:
        for day in two_days:
            server.files["/last.mp4"] = day
            first, again = (add(f"{server.address}/last.mp4") for _ in range(2))
            assert (first.tracklets, first.known, first.notes, first.bad) == (1, 0, (), ())
            assert (again.tracklets, again.known) == (0, 1)


def test_a_recording_without_a_length_is_added_once(add, store, tmp_path):
    with serve_files() as server:
        server.files["/a.ts"] = write_film(tmp_path / "a.ts", 70, 1, 60).read_bytes()
        added = [add(f"{server.address}/a.ts") for _ in range(2)]
    assert [(one.tracklets, one.known, one.reopened) for one in added] == [(1, 0, 0), (0, 1, 0)]


def test_what_was_added_when_only_the_length_was_looked_at_is_told_and_goes_with_again(
    add, store, two_days, monkeypatch
):
    with serve_files() as server:
        server.files["/last.mp4"] = two_days[0]
        address = f"{server.address}/last.mp4"
        with monkeypatch.context() as before:
            before.setattr(
                "unveil.gallery.ingest.video._identity", lambda source, video, **_: key_of(source, video.seconds)
            )
            before.setattr("unveil.gallery.ingest.video._known_by_length", lambda *_, **__: None)
            assert add(address).tracklets == 1
        added = add(address)
        assert added.tracklets == 1 and "--again removes" in added.notes[0]
        assert store.info("shop").tracklets == 2
        again = add(address, again=True)
        assert (again.tracklets, again.notes, again.removed) == (1, (), 10)
        assert store.info("shop").tracklets == 1 and add(address).notes == ()


def add_live(store, engine, tmp_path: Path) -> Added:
    """Add a live stream of two people, one after the other; the second is in sight when it breaks."""
    _, boxes = render_frames(tmp_path, 2)
    with breaking(write_film(tmp_path / "live.ts", 90, 2, 60), 1) as address:
        settings = VideoSettings("gate", waits=(600.0,))
        return add_video(store, "shop", engine=engine, source=address, detector=GivenBoxes(boxes), settings=settings)


def test_ctrl_c_while_crops_of_a_live_stream_are_embedded_loses_nobody(store, engine, tmp_path, monkeypatch):
    monkeypatch.setattr("unveil.video.prefetch.WAITING", 1000)
    monkeypatch.setattr("unveil.gallery.ingest.video_pass.SAVE", 1.0)
    embed, asked = engine.embed, []

    def interrupted(images, **options):
        asked.extend(images[:1])
        if images and len(asked) == 1:
            raise KeyboardInterrupt
        return embed(images, **options)

    monkeypatch.setattr(engine, "embed", interrupted)
    added = add_live(store, engine, tmp_path)
    assert (added.tracklets, added.crops) == (1, 4) and len(rows(store, "shop")) == 5


def test_a_live_stream_that_is_cancelled_while_it_waits_keeps_what_was_seen(store, engine, tmp_path, monkeypatch):
    monkeypatch.setattr("unveil.video.prefetch.WAITING", 1000)
    counts: list[tuple[int, int]] = []

    def step(what: str, done: int, total: int | None) -> None:
        if done == 90:  # all frames were seen, and no other comes for ten minutes
            raise EndedError

    with pytest.raises(EndedError), observed(step), counted(lambda *count: counts.append(count)):
        add_live(store, engine, tmp_path)
    assert counts == [(8, 2)] and len(rows(store, "shop")) == 10
    assert {item.camera for item in store.find("shop", Filter(), limit=20)} == {"gate"}


def test_a_live_stream_of_which_writing_fails_ends_with_that_error(store, engine, tmp_path, monkeypatch):
    monkeypatch.setattr("unveil.video.prefetch.WAITING", 1000)
    stopped: list[Video] = []
    stop = Video.stop
    monkeypatch.setattr(Video, "stop", lambda video: stopped.append(video) or stop(video))
    monkeypatch.setattr("unveil.gallery.ingest.video_pass.SAVE", 1.0)
    monkeypatch.setattr(store, "add", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        add_live(store, engine, tmp_path)
    assert stopped
