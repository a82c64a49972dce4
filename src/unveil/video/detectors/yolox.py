"""Reads the answer of YOLOX (Ge et al. 2021, arXiv:2107.08430): an anchor-free grid for each stride."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from unveil.errors import DataError
from unveil.video.card import DetectorCard


def decode(outputs: Sequence[np.ndarray], card: DetectorCard) -> tuple[np.ndarray, np.ndarray]:
    """Return boxes and scores of people.

    Args:
        outputs: one array ``(1, N, 5 + classes)``: centre offset and log size in strides, objectness, class scores.
        card: its ``strides``, size and ``person`` classes.

    Returns:
        ``(N, 4)`` left, top, right, bottom in pixels of the input; ``(N,)`` scores in [0, 1].

    Raises:
        DataError: the array does not have one row for each cell of the grids.
    """
    found = outputs[0]
    grids = [(card.height // s, card.width // s, s) for s in card.strides]
    cells = sum(rows * columns for rows, columns, _ in grids)
    if found.ndim != 3 or found.shape[1] != cells or found.shape[2] < 6 + max(card.person):
        raise DataError(
            f"{card.model}: expected the answer of a YOLOX of {card.width} x {card.height}, (1, {cells}, 5 + classes), "
            f"got {found.shape}; correct size, strides or person of the card"
        )
    corner = np.concatenate([np.mgrid[:rows, :columns][::-1].reshape(2, -1).T for rows, columns, _ in grids])
    stride = np.concatenate([np.full((rows * columns, 1), s) for rows, columns, s in grids])
    rows = found[0]
    centre = (rows[:, :2] + corner) * stride
    half = np.exp(np.clip(rows[:, 2:4], -10, 10)) * stride / 2
    scores = rows[:, 4] * rows[:, [5 + k for k in card.person]].max(axis=1)
    return np.concatenate([centre - half, centre + half], axis=1), scores
