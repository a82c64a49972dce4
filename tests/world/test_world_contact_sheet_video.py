from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from unveil.errors import DataError, UnveilError
from unveil.world import video
from unveil.world.config import World, preset
from unveil.world.contact_sheet import CELL, GAP, save_sheet
from unveil.world.scenes.scene import FRAME
from unveil.world.video import render_frames, save_video

TWO = World(people=2, outfits=1, visits=1, frames=1, cameras=4, seed=3)


@pytest.mark.parametrize(("show", "rows"), [("crops", 2), ("masks", 2), ("both", 4)])
def test_sheet_has_a_row_a_person(world_folder: Path, tmp_path: Path, show: str, rows: int) -> None:
    made = save_sheet(world_folder / "manifest.csv", tmp_path / "s.png", people=2, columns=3, show=show)  # type: ignore[arg-type]
    assert made == (2, 6)
    assert cv2.imread(str(tmp_path / "s.png")).shape == (rows * (CELL[0] + GAP), 3 * (CELL[1] + GAP), 3)
    with pytest.raises(UnveilError, match=r"use \.png or \.jpg"):
        save_sheet(world_folder / "manifest.csv", tmp_path / "s.txt", people=2, columns=3)


def test_film_moves_and_boxes_hold_the_people(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(video, "RATE", 1)
    frames = list(render_frames(TWO, 1, frames=5))
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
    boxes = save_video(TWO, tmp_path / "v.mp4", camera=1, seconds=2.0)
    with av.open(str(tmp_path / "v.mp4")) as container:
        assert sum(1 for _ in container.decode(video=0)) == 4
    assert {int(row["frame"]) for row in csv.DictReader(boxes.open())} <= set(range(4))


def test_an_old_camera_is_dimmer_and_bluer() -> None:
    new, old = (next(render_frames(TWO, 1, frames=1, old=old))[0].astype(float) for old in (False, True))
    assert old.mean() < 0.9 * new.mean()
    red, blue = (old[..., channel].mean() / new[..., channel].mean() for channel in (0, 2))
    assert blue > 1.15 * red


def test_as_many_people_walk_by_as_were_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(video, "RATE", 1)
    seen = {row[0] for _, rows in render_frames(preset("tiny"), 1, frames=16, people=8) for row in rows}
    assert seen <= {f"p{number:05d}" for number in range(8)} and len(seen) >= 7


@pytest.mark.parametrize(("out", "settings", "what"), [
    ("v.mp4", {"seconds": 0.0}, "seconds"), ("v.mp4", {"camera": 99}, "camera"), ("v.avi", {"seconds": 1.0}, "mp4"),
    ("v.mp4", {"people": 0}, "people must be 1 to 2"), ("v.mp4", {"people": 3}, "people must be 1 to 2"),
])  # fmt: skip
def test_wrong_videos_are_refused(tmp_path: Path, out: str, settings: dict[str, Any], what: str) -> None:
    with pytest.raises(DataError, match=what):
        save_video(TWO, tmp_path / out, **settings)
