"""Every way in which a container can turn or mirror its frames, against the same file without a display matrix."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from films import write_film
from unveil.video.decode import Video
from unveil.video.orientation import upright

ONE = 1 << 16
# Name -> (a, b, c, d) of the matrix and what a player shows of a frame.
ORIENTATIONS = {
    "as it is": ((1, 0, 0, 1), lambda x: x),
    "front camera": ((-1, 0, 0, 1), lambda x: x[:, ::-1]),
    "upside down mirrored": ((1, 0, 0, -1), lambda x: x[::-1]),
    "half turn": ((-1, 0, 0, -1), lambda x: x[::-1, ::-1]),
    "clockwise": ((0, 1, -1, 0), lambda x: np.rot90(x, -1)),
    "anticlockwise": ((0, -1, 1, 0), lambda x: np.rot90(x, 1)),
    "transposed": ((0, 1, 1, 0), lambda x: x.transpose(1, 0, 2)),
    "transposed, other diagonal": ((0, -1, -1, 0), lambda x: x[::-1, ::-1].transpose(1, 0, 2)),
}


def with_matrix(film: Path, matrix: tuple[int, int, int, int], out: Path) -> Path:
    """Copy an .mp4 with another matrix in its track header."""
    data = bytearray(film.read_bytes())
    at = data.find(b"tkhd") + 4 + 40
    a, b, c, d = (ONE * entry for entry in matrix)
    assert struct.unpack_from(">2i", data, at) == (ONE, 0), "the matrix of the track header begins here"
    struct.pack_into(">9i", data, at, a, b, 0, c, d, 0, 0, 0, 1 << 30)
    out.write_bytes(data)
    return out


@pytest.mark.parametrize("name", ORIENTATIONS)
def test_frames_come_as_a_player_shows_them(tmp_path, name):
    matrix, shown = ORIENTATIONS[name]
    film = write_film(tmp_path / "plain.mp4", 3)
    with Video(film) as video:
        plain = [frame.image for frame in video.frames()]
    with Video(with_matrix(film, matrix, tmp_path / "turned.mp4")) as video:
        turned = [frame.image for frame in video.frames()]
    assert len(plain) == len(turned) == 3
    for before, after in zip(plain, turned, strict=True):
        assert np.array_equal(after, shown(before))
        assert after.flags.c_contiguous


def test_a_scaled_matrix_turns_and_an_odd_angle_does_not():
    image = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    assert np.array_equal(upright(image, struct.pack("=9i", 0, 3, 0, -3, 0, 0, 0, 0, 0)), np.rot90(image, -1))
    assert np.array_equal(upright(image, struct.pack("=9i", 7, 7, 0, -7, 7, 0, 0, 0, 0)), image)
    assert np.array_equal(upright(image, b"short"), image)
