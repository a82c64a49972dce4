"""Frames for a detector: boxes hold what they are of, files come back as they were, and mixing keeps boxes true."""

import numpy as np
import pytest

from unveil.errors import DataError
from unveil.world.capture.frames import scene_frames
from unveil.world.frame_mixing import FrameMixer
from unveil.world.frames import read_frames, write_frames


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("frames")
    write_frames(folder, range(2, 3), seed=5, shots=2)
    return folder


def test_files_hold_what_is_rendered_and_are_left_alone_when_there(folder):
    frames = list(scene_frames(2, 5, shots=2))
    read = read_frames(folder, range(2, 3), seed=5)
    assert len(frames) == len(read) == 4 and any(len(frame.people) for frame in frames)
    for one, other in zip(frames, read, strict=True):
        assert np.array_equal(one.owner, other.owner()) and np.allclose(one.boxes, other.boxes)
        assert np.abs(one.image.astype(float) - other.image()).mean() < 10  # JPEG of a noisy image
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    write_frames(folder, range(2, 3), seed=5, shots=2)
    assert before == {path: path.stat().st_mtime_ns for path in folder.iterdir()}


def test_boxes_hold_everything_that_is_seen_of_a_person(folder):
    for frame in read_frames(folder, range(2, 3), seed=5):
        owner = frame.owner()
        for number, (left, top, right, bottom), visible in zip(frame.people, frame.boxes, frame.visible, strict=True):
            rows, columns = np.nonzero(owner == number)
            # A strand of hair that is seen between two pixels is in the box alone.
            assert 0 <= columns.min() - left <= 4 and -1 <= right - columns.max() - 1 <= 4
            assert 0 <= rows.min() - top <= 4 and -1 <= bottom - rows.max() - 1 <= 4
            assert 0 < visible <= 1


def test_missing_scenes_and_another_seed_are_errors(folder):
    with pytest.raises(DataError, match="no frames of scene 3"):
        read_frames(folder, range(2, 4), seed=5)
    with pytest.raises(DataError, match="is of seed 5, not 6"):
        read_frames(folder, range(2, 3), seed=6)


def test_mixed_pictures_are_drawn_again_from_their_seed_and_hold_their_boxes(folder):
    mixer = FrameMixer(read_frames(folder, range(2, 3), seed=5), 128, textures=20)
    people = 0
    for number in range(24):
        mixed, again = (mixer(number % 4, np.random.default_rng(number)) for _ in range(2))
        assert mixed.image.shape == (128, 128, 3) and np.array_equal(mixed.image, again.image)
        assert np.array_equal(mixed.people, again.people)
        boxes = np.concatenate([mixed.people, mixed.ignored])
        assert (boxes[:, :2] < boxes[:, 2:]).all() and boxes.min(initial=0) >= 0 and boxes.max(initial=0) <= 128
        people += len(mixed.people)
    assert people > 12
