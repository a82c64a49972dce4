"""Colours and sensor faults that training adds to crops: blur, low resolution, noise, JPEG."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Random = np.random.Generator


@dataclass(frozen=True)
class Odds:
    """How often each disturbance happens, in [0, 1]."""

    mirror: float = 0.5
    turn: float = 0.3
    truncate: float = 0.2
    backdrop: float = 0.15
    person: float = 0.12
    thing: float = 0.3
    colour: float = 0.85
    grey: float = 0.04
    blur: float = 0.25
    shrink: float = 0.45
    noise: float = 0.4
    jpeg: float = 0.4


def degrade(image: Image, odds: Odds, *, rng: Random) -> Image:
    """Change colours and add a sensor's faults: blur, low resolution, noise, JPEG."""
    if rng.random() < odds.colour:
        image = _recolour(image, rng)
    if rng.random() < odds.grey:
        image = np.asarray(cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB), np.uint8)
    if rng.random() < odds.blur:
        image = _blur(image, rng)
    if rng.random() < odds.shrink:
        height, width = image.shape[:2]
        scale = float(np.exp(rng.uniform(np.log(0.18), np.log(0.8))))
        small = (max(6, round(width * scale)), max(12, round(height * scale)))
        image = _noise(np.asarray(cv2.resize(image, small, interpolation=cv2.INTER_AREA), np.uint8), odds, rng=rng)
        how = (cv2.INTER_LINEAR, cv2.INTER_CUBIC, cv2.INTER_NEAREST)[int(rng.choice(3, p=(0.6, 0.3, 0.1)))]
        return np.asarray(cv2.resize(image, (width, height), interpolation=how), np.uint8)
    return _noise(image, odds, rng=rng)


def _recolour(image: Image, rng: Random) -> Image:
    """Mix channels (saturation, hue), then gain, offset and gamma of each channel by a look-up table."""
    grey = np.full((3, 3), (0.299, 0.587, 0.114), np.float32)
    saturation = rng.uniform(0.3, 1.6)
    mix = saturation * np.eye(3, dtype=np.float32) + (1 - saturation) * grey.reshape(3, 3)
    if rng.random() < 0.2:
        mix = mix[rng.permutation(3)]
    mix += rng.normal(0, 0.05, (3, 3)).astype(np.float32)
    mixed = cv2.transform(image, mix)
    level = np.arange(256, dtype=np.float32)[:, None] / 255
    gamma, contrast = np.exp(rng.normal(0, 0.3)), np.exp(rng.normal(0, 0.25))
    gain = np.exp(rng.normal(0, 0.1, 3))
    table = ((level**gamma - 0.5) * contrast + 0.5 + rng.normal(0, 0.08)) * gain
    return np.asarray(cv2.LUT(mixed, np.rint(table.clip(0, 1) * 255).astype(np.uint8)[:, None]), np.uint8)


def _blur(image: Image, rng: Random) -> Image:
    if rng.random() < 0.6:
        return np.asarray(cv2.GaussianBlur(image, (0, 0), rng.uniform(0.4, 2.5)), np.uint8)
    length = int(rng.integers(3, 10))
    kernel = np.zeros((length, length), np.float32)
    angle = rng.uniform(0, np.pi)
    reach = (length - 1) / 2
    ends = np.rint(reach + reach * np.array([[-1], [1]]) * np.array([[np.cos(angle), np.sin(angle)]])).astype(int)
    cv2.line(kernel, ends[0].tolist(), ends[1].tolist(), 1.0)
    return np.asarray(cv2.filter2D(image, -1, kernel / kernel.sum()), np.uint8)


def _noise(image: Image, odds: Odds, *, rng: Random) -> Image:
    if rng.random() < odds.noise:
        grains = rng.standard_normal(image.shape, dtype=np.float32) * np.float32(rng.uniform(1, 18))
        image = np.clip(np.rint(image + grains), 0, 255).astype(np.uint8)
    if rng.random() < odds.jpeg:
        quality = int(rng.integers(12, 92))
        _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
        image = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)
    return image
