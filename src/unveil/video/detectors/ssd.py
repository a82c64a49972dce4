"""Reads the answer of an SSD (Liu et al., ECCV 2016) whose last layer has merged the boxes: rows of label and box."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from unveil.errors import DataError
from unveil.video.card import DetectorCard

COLUMNS = 7  # image, label, score, left, top, right, bottom


def decode(outputs: Sequence[np.ndarray], card: DetectorCard) -> tuple[np.ndarray, np.ndarray]:
    """Return boxes and scores of people; see `unveil.video.detectors.yolox.decode`.

    Args:
        outputs: one array ``(1, 1, N, 7)``, sides of boxes as shares of the input; rows from the first whose image is
            -1 on mean nothing.
        card: its size and ``person`` classes.

    Raises:
        DataError: the array has another shape.
    """
    found = outputs[0]
    if found.ndim < 2 or found.shape[-1] != COLUMNS or any(n != 1 for n in found.shape[:-2]):
        raise DataError(
            f"{card.model}: expected the answer of an SSD, (1, 1, N, 7), got {found.shape}; correct the decoder of the "
            "card"
        )
    rows = found.reshape(-1, COLUMNS).astype(np.float64)
    ends = np.flatnonzero(rows[:, 0] < 0)
    rows = rows[: ends[0]] if len(ends) else rows
    people = rows[np.isin(rows[:, 1], card.person)]
    return people[:, 3:] * np.array([card.width, card.height] * 2), people[:, 2]
