"""What people wear is told while rows are added, in the one look of the parser; and later, from stored images."""

from __future__ import annotations

import pytest

from untrained import make_model
from unveil.attributes.records import NAMES, vote
from unveil.gallery.ingest import attributes as filling
from unveil.gallery.ingest.adding import thumbnail
from unveil.gallery.ingest.attributes import fill_attributes
from unveil.gallery.ingest.images import add_images
from unveil.gallery.ingest.quality import find_parser
from unveil.gallery.ingest.video import add_video
from unveil.gallery.ingest.video_settings import VideoSettings
from unveil.gallery.records import Filter
from unveil.inference.load import load_engine
from unveil.records import Sample
from unveil.video.detectors.precomputed import GivenBoxes
from unveil.world.config import preset
from unveil.world.video import render_frames, save_video


class Counting:
    """The package's parser, which counts how often it is asked to look; after ``most`` times it fails."""

    def __init__(self, most: int = 10**9) -> None:
        self.real, self.looks, self.most = find_parser(1), 0, most

    def __getattr__(self, name):
        return getattr(self.real, name)

    def parse(self, images):
        self.looks += 1
        if self.looks > self.most:
            raise KeyboardInterrupt
        return self.real.parse(images)


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    return load_engine(make_model(tmp_path_factory.mktemp("model"), height=64, width=32), "torch")


@pytest.fixture(scope="module")
def people():
    """Ten crops of rendered people who are mostly seen, in tracklets of two."""
    crops = []
    for image, boxes in render_frames(preset("tiny"), 1, frames=30):
        crops += [image[y : y + h, x : x + w] for _, x, y, w, h, seen in boxes if float(seen) > 0.9 and h > 100]
        if len(crops) >= 10:
            break
    return [
        Sample(f"{n}.jpg", data=thumbnail(crop), camera="gate", tracklet=f"t{n // 2}")
        for n, crop in enumerate(crops[:10])
    ]


def test_crops_are_looked_at_once_and_tracklets_have_their_vote(store, engine, people):
    parser = Counting()
    add_images(store, "shop", engine=engine, samples=people, parser=parser)
    assert parser.looks == 1
    crops = store.find("shop", Filter(rows="crop"))
    assert len(crops) == 10 and all(crop.attributes is not None for crop in crops)
    assert {name for crop in crops for name in crop.attributes.seen} == set(NAMES)
    tracklets = [item for item in store.find("shop", Filter()) if item.kind == "tracklet"]
    assert len(tracklets) == 5
    for item in tracklets:
        own = [(crop.attributes, crop.quality) for crop in store.crops_of("shop", item.key)]
        told, expected = item.attributes.to_dict(), vote(own).to_dict()
        assert told.keys() == expected.keys()
        for name in told:
            assert told[name]["shown"] == pytest.approx(expected[name]["shown"], abs=2e-3)
            assert told[name]["values"] == pytest.approx(expected[name]["values"], abs=3e-3)


def test_without_a_parser_nothing_is_told(store, engine, people):
    add_images(store, "shop", engine=engine, samples=people)
    assert store.count_without_attributes("shop") == 15


def test_tracklets_of_a_film_are_told_too(store, engine, tmp_path):
    path = tmp_path / "film.mp4"
    boxes = save_video(preset("tiny"), path, camera=1, seconds=0.75)
    add_video(
        store,
        "films",
        engine=engine,
        source=path,
        detector=GivenBoxes(boxes),
        settings=VideoSettings(camera="gate"),
        parser=find_parser(1),
    )
    items = store.find("films", Filter())
    assert {item.kind for item in items} == {"crop", "tracklet"}
    assert all(item.attributes is not None for item in items)
    assert any(item.attributes.upper_colour for item in items if item.kind == "tracklet")
    assert store.count_without_attributes("films") == 0


def test_rows_from_before_are_filled_in_and_a_stop_loses_nothing(store, engine, people, monkeypatch):
    monkeypatch.setattr(filling, "BATCH", 4)
    add_images(store, "new", engine=engine, samples=people, parser=find_parser(1))
    add_images(store, "old", engine=engine, samples=people)
    with pytest.raises(KeyboardInterrupt):
        fill_attributes(store, "old", parser=Counting(most=2))
    assert store.count_without_attributes("old") == 7
    rest = Counting()
    done = fill_attributes(store, "old", parser=rest)
    assert (done.crops, done.tracklets, done.bad, rest.looks) == (2, 5, (), 1)  # tracklets are a vote, not a look
    for name, told in seen(store, "old").items():
        assert set(told) == set(seen(store, "new")[name])
    assert fill_attributes(store, "old", parser=Counting()).crops == 0


def seen(store, name):
    return {item.key: item.attributes.seen for item in store.find(name, Filter())}


def test_an_image_that_cannot_be_read_is_named_once(store, engine, people):
    add_images(store, "shop", engine=engine, samples=people[:4])
    with store._connections.transaction() as cursor:
        cursor.execute("UPDATE pictures SET thumbnail = '\\xffd800' WHERE id = (SELECT min(id) FROM items)")
    done = fill_attributes(store, "shop", parser=find_parser(1))
    assert len(done.bad) == 1 and "row " in done.bad[0] and done.crops == 4
    assert fill_attributes(store, "shop", parser=find_parser(1)).bad == ()
