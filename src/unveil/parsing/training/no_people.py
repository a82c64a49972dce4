"""Images without people: noise and textures of many kinds, drawn from a number, to fit and measure a person check."""

from __future__ import annotations

import io
from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

Image = NDArray[np.uint8]
Kind = Callable[[np.random.Generator, int, int], np.ndarray]
MIN_SIZE, MAX_SIZE = (32, 64), (200, 400)  # width and height, pixels


def without_people(number: int, seed: int = 0) -> tuple[str, Image]:
    """Return the name of its kind and an image ``(H, W, 3)`` uint8 RGB without a person.

    Args:
        number: which; the kinds take turns.
        seed: of all.
    """
    name = sorted(KINDS)[number % len(KINDS)]
    rng = np.random.default_rng([911, seed, number])
    height = int(rng.integers(MIN_SIZE[1], MAX_SIZE[1]))
    width = int(np.clip(height * rng.uniform(0.3, 0.7), MIN_SIZE[0], MAX_SIZE[0]))
    drawn = KINDS[name](rng, height, width)
    if drawn.ndim == 2:
        drawn = drawn[..., None] * np.ones(3)
    return name, np.clip(drawn, 0, 255).astype(np.uint8)


def _uniform(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    return rng.uniform(0, 255, (height, width, 3))


def _grey(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    return rng.uniform(0, 255, (height, width))


def _gaussian(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    return rng.uniform(40, 215, 3) + rng.uniform(10, 80) * rng.normal(size=(height, width, 3))


def _salt(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    image = np.full((height, width, 3), rng.uniform(60, 200, 3))
    image[rng.random((height, width)) < rng.uniform(0.05, 0.5)] = 255
    image[rng.random((height, width)) < rng.uniform(0.05, 0.5)] = 0
    return image


def _blurred(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    return _stretched(cv2.GaussianBlur(rng.normal(size=(height, width, 3)), (0, 0), rng.uniform(0.7, 14)), rng)


def _coarse(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    cells = rng.uniform(0, 255, (max(2, height // int(rng.integers(4, 40))), int(rng.integers(2, 12)), 3))
    how = (cv2.INTER_NEAREST, cv2.INTER_LINEAR, cv2.INTER_CUBIC)[int(rng.integers(3))]
    return np.asarray(cv2.resize(cells, (width, height), interpolation=how))


def _power_law(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Noise whose spectrum falls as that of landscapes does."""
    radius = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None])
    radius[0, 0] = np.inf
    shape = rng.uniform(0.5, 2.5)
    planes = [
        np.fft.irfft2(np.fft.rfft2(rng.normal(size=(height, width))) * radius**-shape, s=(height, width))
        for _ in range(3 if rng.random() < 0.6 else 1)
    ]
    return _stretched(np.stack(planes * (3 // len(planes)), axis=2), rng)


def _compressed(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    out = io.BytesIO()
    noise = _power_law(rng, height, width) if rng.random() < 0.5 else _uniform(rng, height, width)
    Pillow.fromarray(np.clip(noise, 0, 255).astype(np.uint8)).save(out, "JPEG", quality=int(rng.integers(3, 40)))
    return np.asarray(Pillow.open(out).convert("RGB"), np.float64)


def _checks(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    y, x = np.mgrid[:height, :width] // int(rng.integers(3, 40))
    one, other = rng.uniform(0, 255, (2, 3))
    return np.where(((x + y) % 2 == 0)[..., None], one, other)


def _stripes(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    angle, length = rng.uniform(0, np.pi), rng.uniform(4, 80)
    wave = 0.5 + 0.5 * np.sin(2 * np.pi * (x * np.cos(angle) + y * np.sin(angle)) / length)
    wave = wave if rng.random() < 0.5 else np.rint(wave)
    one, other = rng.uniform(0, 255, (2, 3))
    return np.asarray(one + wave[..., None] * (other - one))


def _plaid(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    rows = np.repeat(rng.uniform(0, 255, (height, 1, 3))[:: int(rng.integers(3, 25))], 25, axis=0)[:height]
    columns = np.repeat(rng.uniform(0, 255, (1, width, 3))[:, :: int(rng.integers(3, 25))], 25, axis=1)[:, :width]
    rows = np.resize(rows, (height, 1, 3))
    return np.asarray((rows + np.resize(columns, (1, width, 3))) / 2)


def _gradient(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    if rng.random() < 0.5:
        t = (x * rng.normal() / width + y * rng.normal() / height).astype(float)
    else:
        t = np.hypot(x - rng.uniform(0, width), (y - rng.uniform(0, height)) * rng.uniform(0.3, 1))
    t = (t - t.min()) / max(float(np.ptp(t)), 1e-9)
    one, other = rng.uniform(0, 255, (2, 3))
    return np.asarray(one + t[..., None] * (other - one))


def _mosaic(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    count = int(rng.integers(5, 80))
    points = rng.uniform((0, 0), (height, width), (count, 2))
    y, x = np.mgrid[:height, :width]
    nearest = ((y[..., None] - points[:, 0]) ** 2 + (x[..., None] - points[:, 1]) ** 2).argmin(axis=2)
    return np.asarray(rng.uniform(0, 255, (count, 3))[nearest])


def _leaves(rng: np.random.Generator, height: int, width: int, *, ellipses: bool) -> np.ndarray:
    """Shapes of all sizes that cover each other, as in the statistics of natural images."""
    image = np.full((height, width, 3), rng.uniform(0, 255, 3))
    for _ in range(int(rng.integers(40, 300))):
        centre = (int(rng.uniform(0, width)), int(rng.uniform(0, height)))
        size = width * 0.5 * rng.uniform(0.02, 0.7) ** 1.5 + 1
        axes = (int(size * rng.uniform(0.5, 1)) + 1, int(size * rng.uniform(0.5, 1.5)) + 1)
        colour = tuple(rng.uniform(0, 255, 3).tolist())
        if ellipses:
            cv2.ellipse(image, centre, axes, float(rng.uniform(0, 180)), 0, 360, colour, -1)
        else:
            far = (centre[0] + 2 * axes[0], centre[1] + 2 * axes[1])
            cv2.rectangle(image, centre, far, colour, -1)
    return image


def _bricks(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    image = np.full((height, width, 3), rng.uniform(120, 200, 3))
    tall, long = int(rng.integers(6, 30)), int(rng.integers(15, 60))
    base = rng.uniform(40, 200, 3)
    for row, top in enumerate(range(0, height, tall)):
        for left in range(-(row % 2) * long // 2, width, long):
            image[top + 1 : top + tall - 1, max(0, left + 1) : max(0, left + long - 1)] = base + rng.normal(0, 15)
    return image + rng.normal(0, 6, image.shape)


def _rings(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    bent = 12 * cv2.GaussianBlur(rng.normal(size=(height, width)), (0, 0), 12)
    distance = np.hypot(x - rng.uniform(-width, 2 * width), (y - rng.uniform(-height, height)) / 6) + 10 * bent
    grain = 0.5 + 0.5 * np.sin(distance / rng.uniform(1, 6))
    one, other = rng.uniform(30, 220, (2, 3))
    return np.asarray(one + grain[..., None] * (other - one))


def _scribble(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    image = np.full((height, width, 3), rng.uniform(0, 255, 3))
    for _ in range(int(rng.integers(5, 120))):
        start, end = rng.uniform((0, 0), (width, height), (2, 2)).astype(int).tolist()
        cv2.line(image, start, end, rng.uniform(0, 255, 3).tolist(), int(rng.integers(1, 8)))
    return image


def _print(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    image = np.full((height, width, 3), rng.uniform(180, 255))
    size = int(rng.integers(5, 18))
    for top in range(2, height - size, int(size * 1.6)):
        for left in range(2, width - size, size):
            if rng.random() < 0.8:
                glyph = cv2.resize((rng.random((4, 3)) < 0.5).astype(float), (size - 1, size), interpolation=0)
                image[top : top + size, left : left + size - 1] *= 1 - 0.9 * glyph[..., None]
    return image


def _foliage(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    image = np.full((height, width, 3), rng.uniform(20, 90, 3))
    for _ in range(int(rng.integers(200, 900))):
        corners = rng.uniform((0, 0), (width, height)) + rng.normal(0, rng.uniform(2, 9), (3, 2))
        green = rng.uniform((10, 50, 5), (120, 200, 80))
        cv2.fillPoly(image, [corners.astype(np.int32)], tuple(green.tolist()))
    return image


def _stretched(noise: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    low, high = noise.min(), noise.max()
    contrast, middle = rng.uniform(60, 255), rng.uniform(90, 165)
    return np.asarray((noise - low) / max(float(high - low), 1e-9) * contrast + middle - contrast / 2)


KINDS: dict[str, Kind] = {
    "blurred noise": _blurred, "bricks": _bricks, "checks": _checks, "coarse noise": _coarse,
    "compressed noise": _compressed, "ellipses": lambda *a: _leaves(*a, ellipses=True), "foliage": _foliage,
    "gaussian noise": _gaussian, "gradient": _gradient, "grey noise": _grey, "mosaic": _mosaic, "plaid": _plaid,
    "power-law noise": _power_law, "print": _print, "rectangles": lambda *a: _leaves(*a, ellipses=False),
    "rings": _rings, "salt and pepper": _salt, "scribble": _scribble, "stripes": _stripes, "uniform noise": _uniform,
}  # fmt: skip
