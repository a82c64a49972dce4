"""Numbered images that are a video, and images that are none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from films import walk_frame
from generated import figure
from unveil.data.walk import walk
from unveil.errors import DataError
from unveil.video.image_sequence import ImageSequence, is_sequence


def write_sequence(folder: Path, frames: int = 12, first: int = 1, people: int = 1) -> Path:
    """Write the frames of a film as ``000001.png`` and so on."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(frames):
        Image.fromarray(walk_frame(number, people)).save(folder / f"{number + first:06d}.png")
    return folder


def found(folder: Path) -> bool:
    return is_sequence(walk(folder, recursive=False).images)


def test_frames_come_in_order_with_times(tmp_path):
    folder = write_sequence(tmp_path / "seq" / "img1", 12, first=995)  # 999 before 1000
    (tmp_path / "seq" / "seqinfo.ini").write_text("[Sequence]\nname=x\nframeRate=10\nseqLength=12\n")
    with ImageSequence(folder) as video:
        frames = list(video.frames())
        assert [frame.number for frame in frames] == list(range(12))
        np.testing.assert_allclose([frame.time for frame in frames], np.arange(12) / 10)
        assert all(np.array_equal(frame.image, walk_frame(frame.number, 1)) for frame in frames)
        assert (video.rate, video.seconds, video.lost, video.live) == (10, 1.2, None, False)
    with ImageSequence(folder) as video:
        assert [frame.number for frame in video.frames(every=5, first=3)] == [5, 10]
    with ImageSequence(folder) as video:
        assert [frame.number for frame in video.frames(fps=5)] == [0, 2, 4, 6, 8, 10]
    with ImageSequence(folder) as video, pytest.raises(DataError, match="every"):
        list(video.frames(every=0))


def test_frames_that_cannot_be_read_keep_their_number_and_are_said(tmp_path):
    folder = write_sequence(tmp_path / "img1", 10)
    (folder / "000004.png").write_bytes(b"no image")
    with ImageSequence(folder) as video:
        assert [frame.number for frame in video.frames()] == [0, 1, 2, 4, 5, 6, 7, 8, 9]
        assert "1 frames cannot be read, for example" in video.lost and "000004.png" in video.lost
    for path in folder.iterdir():
        path.write_bytes(b"")
    with ImageSequence(folder) as video, pytest.raises(DataError, match="not one frame can be read"):
        list(video.frames())
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no image in it"):
        ImageSequence(tmp_path / "empty")


def test_what_is_a_sequence(tmp_path):
    assert found(write_sequence(tmp_path / "a", 8))
    assert found(write_sequence(tmp_path / "img1", 3)), "the name of MOT Challenge says it"
    assert not found(write_sequence(tmp_path / "few", 7))
    upright = tmp_path / "upright"
    upright.mkdir()
    for number in range(20):
        Image.fromarray(figure(number, 0, 0)).save(upright / f"{number:04d}.png")
    assert not found(upright), "crops of people"
    gap = write_sequence(tmp_path / "gap", 10)
    (gap / "000005.png").unlink()
    assert not found(gap)
    mixed = write_sequence(tmp_path / "mixed", 10)
    (mixed / "cover.png").write_bytes((mixed / "000001.png").read_bytes())
    assert not found(mixed)
    sizes = write_sequence(tmp_path / "sizes", 10)
    Image.fromarray(walk_frame(0, 1)[:-2]).save(sizes / "000010.png")
    assert not found(sizes)
    broken = write_sequence(tmp_path / "broken", 10)
    (broken / "000001.png").write_bytes(b"")
    assert not found(broken)


@pytest.mark.parametrize("text", ["", "frameRate=5", "[Sequence]\nframeRate=often", "[Sequence]\nframeRate=0", "\xff"])
def test_a_frame_rate_that_is_none_is_the_usual_one(tmp_path, text):
    folder = write_sequence(tmp_path / "img1", 2)
    (folder / "seqinfo.ini").write_bytes(text.encode("latin-1"))
    with ImageSequence(folder) as video:
        assert video.rate == 25
