from __future__ import annotations

import csv
from pathlib import Path

import cv2
import numpy as np
import pytest

from unveil.errors import DataError, UnveilError
from unveil.world import video
from unveil.world.config import World
from unveil.world.contact_sheet import CELL, GAP, save_sheet
from unveil.world.scenes.scene import FRAME
from unveil.world.video import film, save_video

TWO = World(people=2, outfits=1, visits=1, frames=1, cameras=4, seed=3)


@pytest.mark.parametrize(("show", "rows"), [("crops", 2), ("masks", 2), ("both", 4)])
def test_sheet_has_a_row_a_person(world_folder: Path, tmp_path: Path, show: str, rows: int) -> None:
    made = save_sheet(world_folder / "manifest.csv", tmp_path / "s.png", 2, 3, show)  # type: ignore[arg-type]
    assert made == (2, 6)
    assert cv2.imread(str(tmp_path / "s.png")).shape == (rows * (CELL[0] + GAP), 3 * (CELL[1] + GAP), 3)
    with pytest.raises(UnveilError, match=r"use \.png or \.jpg"):
        save_sheet(world_folder / "manifest.csv", tmp_path / "s.txt", 2, 3)


def test_film_moves_and_boxes_hold_the_people(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(video, "RATE", 1)
    frames = list(film(TWO, 1, 5))
    rows = [row for _, found in frames for row in found]
    assert {row[0] for row in rows} <= {"p00000", "p00001"}
    assert rows
    for _, x, y, width, height, visible in rows:
        assert x >= 0
        assert y >= 0
        assert x + width <= FRAME[0]
        assert y + height <= FRAME[1]
        assert 0 < float(visible) <= 1
    assert frames[0][0].shape == (FRAME[1], FRAME[0], 3)
    assert np.abs(frames[0][0].astype(int) - frames[-1][0]).max() > 60


def test_video_file_holds_every_frame(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    av = pytest.importorskip("av", reason="PyAV is not installed: pip install 'unveil[video]'")
    monkeypatch.setattr(video, "RATE", 2)
    boxes = save_video(TWO, tmp_path / "v.mp4", 1, 2.0)
    with av.open(str(tmp_path / "v.mp4")) as container:
        assert sum(1 for _ in container.decode(video=0)) == 4
    assert {int(row["frame"]) for row in csv.DictReader(boxes.open())} <= set(range(4))


@pytest.mark.parametrize(("out", "camera", "seconds", "what"), [
    ("v.mp4", 0, 0.0, "seconds"), ("v.mp4", 99, 1.0, "camera"), ("v.avi", 0, 1.0, "mp4"),
])  # fmt: skip
def test_wrong_videos_are_refused(tmp_path: Path, out: str, camera: int, seconds: float, what: str) -> None:
    with pytest.raises(DataError, match=what):
        save_video(TWO, tmp_path / out, camera, seconds)
