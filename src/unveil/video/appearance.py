"""How a box looks, in a few colours: cheap enough for every box of a video, and tells who is who for some seconds."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from unveil.video.records import Box, Image

Look = NDArray[np.float32]

WIDTH, ROWS, BANDS = 16, 48, 8
LIGHTNESS = 0.6  # weight of L*: shade changes it more than the hue
MIDDLE = np.exp(-(((np.arange(WIDTH) - (WIDTH - 1) / 2) / 4.5) ** 2)).astype(np.float32)
MIDDLE /= MIDDLE.sum()


def look_of(image: Image, box: Box) -> Look | None:
    """Return the mean colour of eight bands of a box from head to feet, ``(8, 3)`` CIELAB; its middle counts most.

    Args:
        image: frame ``(H, W, 3)`` uint8 RGB.
        box: in pixels of the frame.

    Returns:
        ``None`` for a box outside of the frame.
    """
    whole = box.whole(image.shape[1], image.shape[0])
    if whole is None:
        return None
    x, y, w, h = whole
    small = cv2.resize(image[y : y + h, x : x + w], (WIDTH, ROWS), interpolation=cv2.INTER_AREA)
    lab = cv2.cvtColor(small.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    rows = (lab * MIDDLE[None, :, None]).sum(axis=1)
    return np.asarray(rows.reshape(BANDS, ROWS // BANDS, 3).mean(axis=1), np.float32)


def apart(a: Look, b: Look) -> float:
    """Return how different two looks are: the mean over the inner bands of the difference in CIELAB, at least 0.

    The first and the last band hold more of the background than of the person.
    """
    difference = np.abs(a - b) * np.array((LIGHTNESS, 1, 1), np.float32)
    return float(difference.sum(axis=1)[1:-1].mean())
