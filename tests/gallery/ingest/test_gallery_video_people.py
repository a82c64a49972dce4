"""What a detector finds in a video and is nobody, and people who are lost from sight for a moment."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from untrained import make_model
from unveil.data.images import read_image
from unveil.gallery.ingest.people_check import people_on
from unveil.gallery.ingest.quality import find_parser
from unveil.gallery.ingest.video import add_video
from unveil.gallery.ingest.video_settings import VideoSettings
from unveil.gallery.records import Filter
from unveil.inference.load import load_engine
from unveil.video.records import Box

FRAMES, PANEL = 16, Box(300, 20, 60, 150, 0.9)


class Known:
    """A detector that finds a walker and, always in one place, a panel."""

    name, high = "known", 0.5

    def __init__(self, walker: list[Box]) -> None:
        self.walker = list(walker)

    def detect(self, frame: np.ndarray) -> list[Box]:
        return [self.walker.pop(0), PANEL]


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    return load_engine(make_model(tmp_path_factory.mktemp("model"), height=64, width=32), "torch")


def test_a_panel_that_a_detector_takes_for_a_person_is_left_out(store, engine, rendered, tmp_path):
    parser = find_parser(1)
    crops = [read_image(path) for path in sorted((rendered / "crops").rglob("*.jpg"))]
    person = next(crop for crop, good in zip(crops, people_on(crops, parser), strict=True) if good)
    walker = np.asarray(Image.fromarray(person).resize((70, 170)))
    noise = np.random.default_rng(0).integers(0, 256, (150, 60, 3), np.uint8)
    (tmp_path / "img1").mkdir()
    boxes = [Box(10 + 8 * n, 15, 70, 170, 0.9) for n in range(FRAMES)]
    for number, box in enumerate(boxes):
        frame = np.full((200, 400, 3), 120, np.uint8)
        frame[20:170, 300:360] = noise
        frame[15:185, int(box.x) : int(box.x) + 70] = walker
        Image.fromarray(frame).save(tmp_path / "img1" / f"{number + 1:06d}.png")
    with_parser = add_video(
        store,
        "with",
        engine=engine,
        source=tmp_path / "img1",
        detector=Known(boxes),
        settings=VideoSettings(),
        parser=parser,
    )
    assert with_parser.tracklets == 1
    assert all(item.box[0] < 200 for item in store.find("with", Filter(rows="crop"), limit=100))
    without = add_video(
        store, "without", engine=engine, source=tmp_path / "img1", detector=Known(boxes), settings=VideoSettings()
    )
    assert without.tracklets == 2, "nothing but the parser tells that it is a panel"
    sources = {Path(item.source).name for item in store.find("with", Filter(), limit=100)}
    assert sources == {"img1"}
