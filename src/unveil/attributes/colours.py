"""Names of colours: the nearest of a few anchors in CIELAB, where distances are about what people see."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

# sRGB anchors of each name, as cloth looks in light and in shade.
ANCHORS: dict[str, tuple[tuple[int, int, int], ...]] = {
    "black": ((12, 12, 13), (34, 33, 35), (52, 51, 53)),
    "grey": ((84, 84, 86), (122, 122, 124), (160, 160, 162)),
    "white": ((198, 198, 200), (225, 225, 227), (248, 248, 248)),
    "red": ((95, 22, 25), (140, 30, 32), (190, 40, 42), (215, 70, 66)),
    "orange": ((205, 95, 35), (235, 130, 45)),
    "brown": ((62, 44, 32), (88, 62, 42), (118, 84, 58)),
    "beige": ((150, 132, 108), (182, 162, 132), (212, 194, 164)),
    "yellow": ((178, 148, 40), (222, 188, 60), (240, 216, 110)),
    "olive": ((66, 66, 38), (92, 90, 52), (118, 114, 70)),
    "green": ((28, 62, 42), (42, 98, 62), (70, 134, 88), (120, 165, 120)),
    "blue": ((44, 82, 128), (62, 106, 160), (96, 140, 190), (140, 172, 206)),
    "navy": ((20, 24, 48), (30, 38, 72), (46, 56, 94)),
    "purple": ((62, 40, 84), (98, 64, 124), (138, 104, 160)),
    "pink": ((188, 112, 136), (218, 150, 170), (236, 190, 202)),
}
COLOURS = tuple(ANCHORS)
# Names that light, shade and the people who name them exchange.
NEAR: dict[str, tuple[str, ...]] = {
    "black": ("navy", "grey"),
    "grey": ("black", "white"),
    "white": ("grey", "beige"),
    "red": ("orange", "pink"),
    "orange": ("red", "yellow", "brown"),
    "brown": ("beige", "olive", "orange"),
    "beige": ("brown", "white", "yellow"),
    "yellow": ("orange", "beige"),
    "olive": ("green", "brown"),
    "green": ("olive",),
    "blue": ("navy",),
    "navy": ("black", "blue"),
    "purple": ("pink", "navy"),
    "pink": ("red", "purple"),
}
LIGHTNESS_WEIGHT = 0.6  # shade changes lightness more than hue
# Chosen on rendered people of seed 0 (docs/desk.md): half of the cast of what is around a person is the light's,
# cameras wash colours out, and half of what the brightest pixels lack in lightness is exposure.
CAST, CHROMA, EXPOSURE = 0.5, 1.3, 0.5
WHITE, MIN_WHITE, MAX_GAIN = 92.0, 30.0, 1.5  # L* that the brightest pixels are expected to have; least; most gain
MIN_AROUND = 500  # pixels around a person from which the cast of light is told

Lab = NDArray[np.float32]


def lab(pixels: NDArray[np.uint8]) -> Lab:
    """Return sRGB ``(..., 3)`` uint8 as CIELAB ``(..., 3)``: L* in [0, 100], a* and b*."""
    unit = pixels.reshape(-1, 1, 3).astype(np.float32) / 255
    return np.asarray(cv2.cvtColor(unit, cv2.COLOR_RGB2LAB), np.float32).reshape(pixels.shape)


_TABLE = np.repeat(np.arange(len(COLOURS)), [len(ANCHORS[name]) for name in COLOURS])
_SCALE = np.array([LIGHTNESS_WEIGHT, 1, 1], np.float32)
_POINTS = lab(np.array([anchor for name in COLOURS for anchor in ANCHORS[name]], np.uint8)) * _SCALE


def balanced(image: NDArray[np.uint8], around: NDArray[np.bool_]) -> Lab:
    """Return a crop in CIELAB ``(H, W, 3)``, with the light of its scene and the haze of its camera partly taken out.

    Args:
        image: sRGB ``(H, W, 3)`` uint8.
        around: pixels that are not the person ``(H, W)``.
    """
    found = lab(image)
    brightest = max(float(np.percentile(found[..., 0], 98)), MIN_WHITE)
    gain = 1 + EXPOSURE * (min(WHITE / brightest, MAX_GAIN) - 1)
    if np.count_nonzero(around) >= MIN_AROUND:
        found[..., 1:] -= CAST * found[around][:, 1:].mean(axis=0)
    found[..., 1:] *= CHROMA
    found[..., 0] = np.clip(found[..., 0] * gain, 0, 100)
    return found


def colour_shares(pixels: Lab) -> NDArray[np.float64]:
    """Return the share of each of `COLOURS` among pixels in CIELAB ``(N, 3)``, N >= 1; they sum to 1."""
    apart = ((pixels[:, None] * _SCALE - _POINTS) ** 2).sum(axis=2)
    counts = np.bincount(_TABLE[apart.argmin(axis=1)], minlength=len(COLOURS))
    return np.asarray(counts / counts.sum(), np.float64)
