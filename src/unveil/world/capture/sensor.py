"""What a camera makes of light: exposure, colour, tone, blur, noise and JPEG."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from unveil.world.arrays import Floats
from unveil.world.scenes.scene import Camera

KNEE = 0.6  # linear light above which the tone curve flattens


def develop(light: Floats, camera: Camera, *, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return the image ``(h, w, 3)`` RGB uint8 of linear light."""
    image: NDArray[Any] = light * (camera.exposure * rng.uniform(0.92, 1.08))
    rows = image.reshape(len(image), -1)  # NumPy is slow along axes of 3
    rows *= np.tile(np.array(camera.gain, np.float32), image.shape[1])
    grey = image @ np.array([0.3, 0.59, 0.11], np.float32)
    image *= camera.saturation
    image += grey[..., None] * (1 - camera.saturation)
    image *= 1 - camera.haze
    image += camera.haze
    np.maximum(image, 0, out=image)
    bend = image - KNEE
    np.maximum(bend, 0, out=bend)
    bend *= 0.55
    bend += 1
    image /= bend
    np.clip(image, 0, 1, out=image)
    image **= np.float32(1 / camera.gamma)
    if camera.blur > 0.2:
        image = cv2.GaussianBlur(image, (0, 0), camera.blur * rng.uniform(0.6, 1.2))
    if rng.random() < 0.1:  # motion
        length = int(rng.integers(3, 6))
        image = cv2.blur(image, (length, 1))
    if camera.resolution < 1:
        image = _enlarged(image, camera.resolution)
    noise = rng.standard_normal(image.shape, dtype=np.float32)
    noise *= camera.noise * rng.uniform(0.7, 1.3)
    noise *= 1.25 - 0.5 * image
    image += noise
    if camera.chroma:
        image += _blotches(image.shape, rng) * np.float32(camera.chroma)
    if camera.comb:
        image[1::2] = np.roll(image[1::2], camera.comb, axis=1)
    if camera.ringing:
        image += camera.ringing * (image - cv2.GaussianBlur(image, (0, 0), 1.0))
    np.clip(image, 0, 1, out=image)
    image *= 255
    return image.astype(np.uint8)


def at_visit(camera: Camera, rng: np.random.Generator) -> Camera:
    """Return a camera as it is at one visit: daylight, weather and white balance are not those of another day."""
    red, green, blue = camera.gain
    return dataclasses.replace(
        camera,
        gain=(red * (1 + rng.normal(0, 0.05)), green * (1 + rng.normal(0, 0.02)), blue * (1 + rng.normal(0, 0.06))),
        exposure=camera.exposure * math.exp(rng.normal(0, 0.22)),
        saturation=camera.saturation * rng.uniform(0.85, 1.15),
        haze=camera.haze + (rng.uniform(0, 0.03) if rng.random() < 0.2 else 0.0),
    )


def worn(camera: Camera) -> Camera:
    """Return an old camera in the place of another: blue, pale and dim images, soft and full of noise."""
    red, green, blue = camera.gain
    return dataclasses.replace(
        camera,
        gain=(red * 0.72, green * 0.95, blue * 1.35),
        exposure=camera.exposure * 0.4,
        saturation=camera.saturation * 0.45,
        haze=camera.haze + 0.05,
        noise=max(camera.noise, 0.05),
        blur=max(camera.blur, 1.8),
    )


def street(camera: Camera, rng: np.random.Generator) -> Camera:
    """Return a cheap street camera in the place of another, with some of the faults that such cameras have.

    They are those of `unveil.data.augment.sensor`, which training draws anew for each crop; a camera here keeps its
    own: colour cast, washed-out or blocked-up tones, few pixels, noise, blotches of colour, combs of interlacing, rings
    of sharpening, hard JPEG.
    """

    def maybe(share: float, *, between: tuple[float, float], otherwise: float) -> float:
        value = rng.uniform(*between)
        return float(value) if rng.random() < share else otherwise

    red, green, blue = (gain * math.exp(rng.normal(0, 0.07)) for gain in camera.gain)
    return dataclasses.replace(
        camera,
        gain=(red, green, blue),
        exposure=camera.exposure * math.exp(rng.normal(0, 0.2)),
        gamma=camera.gamma * math.exp(rng.normal(0, 0.1)),
        saturation=camera.saturation * math.exp(rng.normal(-0.15, 0.25)),
        haze=camera.haze + maybe(0.4, between=(0.01, 0.06), otherwise=0.0),
        noise=max(camera.noise, rng.uniform(0, 0.025)),
        resolution=maybe(0.6, between=(0.4, 0.9), otherwise=1.0),
        chroma=maybe(0.5, between=(0.005, 0.03), otherwise=0.0),
        comb=round(maybe(0.15, between=(1, 3), otherwise=0.0)),
        ringing=maybe(0.4, between=(0.3, 1.0), otherwise=0.0),
        jpeg=int(rng.uniform(30, 75)),
    )


def _enlarged(image: NDArray[Any], share: float) -> NDArray[Any]:
    """Return an image as it is when so small a share of its rows and columns was recorded."""
    height, width = image.shape[:2]
    size = (max(4, round(width * share)), max(8, round(height * share)))
    return cv2.resize(cv2.resize(image, size, interpolation=cv2.INTER_AREA), (width, height))


def _blotches(shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[Any]:
    """Return noise of colour in spots of some four pixels, as the poorer resolution of colour makes them."""
    small = rng.standard_normal((shape[0] // 4 + 1, shape[1] // 4 + 1, 3), dtype=np.float32)
    return cv2.resize(small, (shape[1], shape[0]))


def to_jpeg(image: NDArray[np.uint8], camera: Camera, *, rng: np.random.Generator) -> bytes:
    """Return a JPEG at the camera's quality."""
    quality = int(np.clip(camera.jpeg + rng.normal(0, 5), 35, 96))
    done, data = cv2.imencode(".jpg", image[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    assert done
    return bytes(data)


def to_png(labels: NDArray[np.uint8]) -> bytes:
    """Return a PNG of labels, a byte a pixel."""
    done, data = cv2.imencode(".png", labels, [cv2.IMWRITE_PNG_COMPRESSION, 4])
    assert done
    return bytes(data)
