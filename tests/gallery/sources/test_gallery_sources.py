"""The source frame of a row: only in the operator's folders, only where the source still shows what was seen."""

import numpy as np
import pytest
from PIL import Image

from films import box_at, walk_frame, write_film
from unveil.errors import DataError
from unveil.gallery.ingest.adding import thumbnail
from unveil.gallery.records import Item
from unveil.gallery.sources.roots import SourceMissingError, SourceRoots
from unveil.gallery.sources.source_frame import clip_around, find_source_frame


def row(source, number=20, **more):
    x, y, w, h = box_at(0, number)
    crop = walk_frame(number, 2)[y : y + h, x : x + w]
    return Item("k", "crop", thumbnail(crop), str(source), frame=number, box=(x, y, w, h), **more)


def state(item, *roots):
    with pytest.raises(SourceMissingError) as caught:
        find_source_frame(item, SourceRoots(roots))
    return caught.value.state


@pytest.fixture
def films(tmp_path):
    folder = tmp_path / "films"
    folder.mkdir()
    return folder


def test_the_frame_is_the_one_that_the_crop_was_cut_from(films):
    path = write_film(films / "a.mp4")
    for source in (path, "a.mp4"):
        source_frame = find_source_frame(row(source), SourceRoots([films]))
        assert source_frame.seconds == pytest.approx(2.0, abs=0.002) and source_frame.box == box_at(0, 20)
        assert np.abs(source_frame.image - walk_frame(20, 2).astype(float)).mean() < 4


def test_images_and_numbered_images_have_a_moment_too(films):
    Image.fromarray(walk_frame(20, 2)).save(films / "scene.png")
    item = row(films / "scene.png")
    found = find_source_frame(Item("k", "crop", item.thumbnail, item.source, box=item.box), SourceRoots([films]))
    assert found.seconds is None and found.image.shape == (96, 160, 3)
    (films / "img1").mkdir()
    for number in range(30):
        Image.fromarray(walk_frame(number, 2)).save(films / "img1" / f"{number + 1:06}.png")
    found = find_source_frame(row(films / "img1"), SourceRoots([films]))
    assert found.seconds == pytest.approx(20 / 25) and (found.image == walk_frame(20, 2)).all()


def test_only_what_lies_in_a_root_is_read_and_links_count_by_where_they_lead(films, tmp_path):
    outside = write_film(tmp_path / "secret.mp4")
    (films / "link.mp4").symlink_to(outside)
    (films / "away").symlink_to(tmp_path)
    assert state(row(outside), films) == "outside"
    assert state(row(tmp_path / "not there.mp4"), films) == "outside", "whether it is there is not told"
    assert state(row(films / "link.mp4"), films) == "outside"
    assert state(row(films / ".." / "secret.mp4"), films) == "outside"
    assert state(row(films / "away" / "secret.mp4"), films) == "outside"
    for source in ("../secret.mp4", "link.mp4", "away/secret.mp4", "", "\0", "x" * 5000):
        assert state(row(source), films) in ("gone", "outside")
    assert find_source_frame(row(outside), SourceRoots([films, tmp_path])).seconds


def test_frames_of_a_folder_that_lead_out_of_it_are_not_read(films, tmp_path):
    (films / "img1").mkdir()
    Image.fromarray(walk_frame(20, 2)).save(tmp_path / "secret.png")
    for number in range(9):
        (films / "img1" / f"{number + 12:06}.png").symlink_to(tmp_path / "secret.png")
    assert state(row(films / "img1", 8), films) in ("outside", "unreadable", "changed")


def test_what_is_missing_is_said_in_one_word_and_one_sentence(films):
    path = write_film(films / "a.mp4")
    assert state(row(path)) == "off"
    assert state(row("rtsp://camera/1"), films) == "live"
    assert state(row(films / "b.mp4"), films) == "gone"
    path.write_bytes(b"no film any more")
    assert state(row(path), films) == "unreadable"
    write_film(path)
    x, y, w, h = box_at(0, 20)
    other = Item("k", "crop", thumbnail(np.zeros((h, w, 3), np.uint8)), str(path), frame=20, box=(x, y, w, h))
    assert state(other, films) == "changed"
    late = Item("k", "crop", other.thumbnail, str(path), frame=9000, box=(x, y, w, h))
    assert state(late, films) == "changed"
    with pytest.raises(DataError, match="no such folder"):
        SourceRoots([films / "nowhere"])


def test_playback_goes_from_before_a_tracklet_begins_to_after_it_ends(films):
    path = write_film(films / "a.mp4", codec="libx264")
    best = row(path, 30, time=1003.0, tracklet="t")
    whole = Item("t", "tracklet", best.thumbnail, str(path), time=1001.5, end=1004.0, frame=30, box=best.box, crops=1)
    source_frame = find_source_frame(whole, SourceRoots([films]))
    clip = clip_around(whole, source_frame, crops=[best], before=0.5, after=0.5)
    assert (
        clip.start == pytest.approx(1.0, abs=0.01) and 4.3 <= clip.end <= 4.9
    )  # key frames each second, a few frames stored out of order
    alone = clip_around(best, source_frame, crops=[best], before=1, after=0.5)
    assert alone.start == pytest.approx(2.0, abs=0.01) and 3.4 <= alone.end <= 3.9
