"""Reads the answer of DETR and its descendants (RT-DETR, arXiv:2304.08069; RF-DETR): a set of boxes, no grid."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from unveil.errors import DataError
from unveil.video.card import DetectorCard


def decode(outputs: Sequence[np.ndarray], card: DetectorCard) -> tuple[np.ndarray, np.ndarray]:
    """Return boxes and scores of people; see `unveil.video.detectors.yolox.decode`.

    Args:
        outputs: class scores before activation ``(1, Q, classes)`` and boxes ``(1, Q, 4)``, in either order: centre x,
            centre y, width, height as shares of the input.
        card: its size, ``activation`` and ``person`` classes.

    Raises:
        DataError: the arrays have other shapes.
    """
    arrays = [a for a in outputs if a.ndim == 3]
    boxes = next((a for a in arrays if a.shape[2] == 4), None)
    logits = next((a for a in arrays if a is not boxes), None)
    if boxes is None or logits is None or logits.shape[1] != boxes.shape[1] or logits.shape[2] <= max(card.person):
        raise DataError(
            f"{card.model}: expected the answer of a DETR, (1, Q, classes) and (1, Q, 4), got "
            f"{', '.join(str(a.shape) for a in outputs)}; correct decoder or person of the card"
        )
    scores = _activate(logits[0].astype(np.float64), card.activation)[:, list(card.person)].max(axis=1)
    centre, half = boxes[0, :, :2], boxes[0, :, 2:] / 2
    size = np.array([card.width, card.height] * 2)
    return np.concatenate([centre - half, centre + half], axis=1) * size, scores


def _activate(logits: np.ndarray, activation: str) -> np.ndarray:
    if activation == "sigmoid":
        return np.asarray(1 / (1 + np.exp(-np.clip(logits, -60, 60))))
    exponents = np.exp(logits - logits.max(axis=1, keepdims=True))
    # The last class is "no object".
    return np.asarray((exponents / exponents.sum(axis=1, keepdims=True))[:, :-1])
