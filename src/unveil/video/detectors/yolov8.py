"""Reads the answer of YOLOv8 and its likes: one row of box and class scores for each cell, boxes in input pixels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from unveil.errors import DataError
from unveil.video.card import DetectorCard


def decode(outputs: Sequence[np.ndarray], card: DetectorCard) -> tuple[np.ndarray, np.ndarray]:
    """Return boxes and scores of people; see `unveil.video.detectors.yolox.decode`.

    Args:
        outputs: one array ``(1, 4 + classes, N)``, or its transpose: centre x, centre y, width, height, class scores.
        card: its ``person`` classes.

    Raises:
        DataError: the array has another shape.
    """
    found = outputs[0]
    if found.ndim == 3 and found.shape[1] < found.shape[2]:
        found = found.transpose(0, 2, 1)
    if found.ndim != 3 or found.shape[2] < 5 + max(card.person):
        raise DataError(
            f"{card.model}: expected the answer of a YOLOv8, (1, 4 + classes, N), got {outputs[0].shape}; "
            "correct decoder or person of the card"
        )
    rows = found[0]
    centre, half = rows[:, :2], rows[:, 2:4] / 2
    scores = rows[:, [4 + k for k in card.person]].max(axis=1)
    return np.concatenate([centre - half, centre + half], axis=1), scores
