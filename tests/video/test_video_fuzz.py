"""Films damaged at random: frames, or one sentence. UNVEIL_FUZZ sets how many of each container."""

from __future__ import annotations

import numpy as np
import pytest

from damage import ROUNDS, TRIED, damaged
from films import HEIGHT, WIDTH, write_boxes, write_film
from unveil.errors import UnveilError
from unveil.video.decode import Video
from unveil.video.detectors.precomputed import GivenBoxes


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.avi", "a.mov", "a.flv", "a.ts"])
def test_damaged_films_are_answered_in_words(name, tmp_path):
    path = write_film(tmp_path / name, 8, 1)
    sound = path.read_bytes()
    rng = np.random.default_rng(sum(name.encode()))
    told = 0
    for _ in range(ROUNDS):
        path.write_bytes(damaged(sound, rng))
        TRIED["films"] += 1
        try:
            with Video(path, max_pixels=1_000_000) as video:
                for frame in video.frames():
                    assert frame.image.ndim == 3 and frame.image.size <= 3_000_000
                told += video.lost is not None
        except UnveilError as e:
            assert name in str(e)
            told += 1
    assert told, "nothing was ever said of a damaged film"
    path.write_bytes(sound)
    with Video(path) as video:
        assert {frame.image.shape for frame in video.frames()} == {(HEIGHT, WIDTH, 3)}


@pytest.mark.parametrize("name", ["b.csv", "b.txt", "b.json"])
def test_damaged_boxes_are_answered_in_words(name, tmp_path):
    path = tmp_path / name
    lines = write_boxes(tmp_path / "sound.csv", 8, 2).read_text().splitlines()
    keys, rows = lines[0].split(","), [line.split(",") for line in lines[1:]]
    if name == "b.txt":
        path.write_text("".join(f"{int(row[0]) + 1},1,5,5,20,40,0.9\n" for row in rows))
    elif name == "b.json":
        path.write_text(str([dict(zip(keys, row, strict=True)) for row in rows]).replace("'", '"'))
    else:
        path.write_text("\n".join(lines))
    sound = path.read_bytes()
    rng = np.random.default_rng(sum(name.encode()))
    GivenBoxes(path)
    for _ in range(ROUNDS):
        path.write_bytes(damaged(sound, rng))
        TRIED["boxes"] += 1
        try:
            GivenBoxes(path)
        except UnveilError as e:
            assert name in str(e)
