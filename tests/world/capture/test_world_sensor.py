"""The sensor of a camera: every fault of a street camera is seen, and a camera without faults is as it was."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from unveil.world.capture.sensor import develop, street
from unveil.world.scenes.scene import Camera, make_scene

PLAIN = dataclasses.replace(
    make_scene(1, 0).camera,
    gain=(1.0, 1.0, 1.0),
    exposure=1.0,
    gamma=2.0,
    saturation=1.0,
    haze=0.0,
    noise=0.0,
    blur=0.0,
)


def board(height: int = 96, width: int = 48) -> np.ndarray:
    """Return light ``(height, width, 3)``: squares of 8 pixels, dark and bright."""
    squares = np.indices((height, width)) // 8
    return np.repeat((0.05 + 0.3 * (squares.sum(0) % 2))[..., None], 3, axis=2).astype(np.float32)


def seen(camera: Camera, light: np.ndarray | None = None, seed: int = 0) -> np.ndarray:
    """Return what a camera makes of light, as float; a seed that does not draw motion."""
    found = develop(board() if light is None else light, camera, rng=np.random.default_rng(seed))
    return found.astype(np.float64)


def sharpness(image: np.ndarray) -> float:
    return float(np.abs(np.diff(image[..., 1], axis=1)).max())


def test_few_pixels_soften_edges_and_keep_the_size():
    poor = seen(dataclasses.replace(PLAIN, resolution=0.35))
    assert poor.shape == seen(PLAIN).shape
    assert sharpness(poor) < 0.7 * sharpness(seen(PLAIN))


def test_blotches_are_of_colour_and_larger_than_a_pixel():
    flat = np.full((96, 48, 3), 0.2, np.float32)
    change = seen(dataclasses.replace(PLAIN, chroma=0.05), flat) - seen(PLAIN, flat)
    assert change.std() > 5
    assert np.corrcoef(change[..., 0].ravel(), change[..., 2].ravel())[0, 1] < 0.3, "channels are drawn apart"
    beside = np.corrcoef(change[:, :-1, 0].ravel(), change[:, 1:, 0].ravel())[0, 1]
    assert beside > 0.6, "a spot covers neighbours"


def test_an_interlaced_image_has_its_odd_rows_late():
    combed, plain = seen(dataclasses.replace(PLAIN, comb=2)), seen(PLAIN)
    assert np.array_equal(combed[::2], plain[::2])
    assert np.array_equal(combed[1::2, 2:], plain[1::2, :-2]) and not np.array_equal(combed[1::2], plain[1::2])


def test_sharpening_leaves_rings_beside_edges():
    ringed, plain = seen(dataclasses.replace(PLAIN, ringing=1.0)), seen(PLAIN)
    assert ringed.max() > plain.max() + 10 and ringed.min() < plain.min() - 10
    assert abs(ringed[4, 20, 1] - plain[4, 20, 1]) < 3, "far from an edge nothing changes"


@pytest.mark.parametrize("size", [(16, 8), (17, 9), (300, 130)])
def test_the_smallest_and_odd_crops_pass_every_fault(size):
    worst = dataclasses.replace(PLAIN, resolution=0.35, chroma=0.07, comb=3, ringing=1.6, noise=0.05)
    assert seen(worst, board(*size)).shape == (*size, 3)


def test_street_cameras_differ_and_each_has_some_fault():
    cameras = [street(PLAIN, np.random.default_rng(n)) for n in range(60)]
    for name, plain, low, high in (
        ("resolution", 1.0, 0.4, 0.8), ("chroma", 0.0, 0.3, 0.7), ("comb", 0, 0.03, 0.35), ("ringing", 0.0, 0.2, 0.6)
    ):  # fmt: skip
        share = np.mean([getattr(camera, name) != plain for camera in cameras])
        assert low < share < high, name
    assert len({camera.gain for camera in cameras}) == 60 and max(camera.jpeg for camera in cameras) < 76
    assert all(isinstance(camera.comb, int) for camera in cameras)
    again = street(PLAIN, np.random.default_rng(0))
    assert (again.gain, again.jpeg, again.resolution) == (cameras[0].gain, cameras[0].jpeg, cameras[0].resolution)
