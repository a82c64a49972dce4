"""Probability arrays of the pixel-sampling code: ``.npy`` float ``(256, 128, 6)``, argmax = label."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from unveil.errors import DataError
from unveil.label_sets import PS6
from unveil.parsing.formats.npy import read_npy

CLASSES = len(PS6.labels)


def read_probabilities(path: Path, size: tuple[int, int] | None = None) -> NDArray[np.uint8]:
    """Return the labels ``(H, W)`` of scheme ``ps6``.

    Args:
        path: the ``.npy`` file, height x width x 6.
        size: (H, W) of the image; labels are resized to it by nearest neighbour. ``None`` keeps the file's own size.

    Raises:
        DataError: the file is not such an array.
    """
    array = read_npy(path, "probabilities")
    if array.ndim != 3 or array.shape[2] != CLASSES:
        raise DataError(f"{path}: expected an array (H, W, {CLASSES}), found {array.shape}")
    labels = array.argmax(axis=2).astype(np.uint8)
    return labels if size is None else cv2.resize(labels, size[::-1], interpolation=cv2.INTER_NEAREST)
