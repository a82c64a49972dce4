"""Reads labels, boxes and scores that the graph makes itself (deployments of RT-DETR and D-FINE, torchvision)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from unveil.errors import DataError
from unveil.video.card import DetectorCard


def decode(outputs: Sequence[np.ndarray], card: DetectorCard) -> tuple[np.ndarray, np.ndarray]:
    """Return boxes and scores of people; see `unveil.video.detectors.yolox.decode`.

    Args:
        outputs: whole-numbered labels ``(Q,)``, boxes ``(Q, 4)`` as left, top, right, bottom in pixels, and scores
            ``(Q,)``, in any order, each with a leading 1 or without; or the scores as a fifth column of the boxes.
        card: its ``person`` classes.

    Raises:
        DataError: the three arrays are not all there.
    """
    deepest = max(a.ndim for a in outputs)
    flat = [a.reshape(a.shape[1:]) if deepest == 3 and a.shape[:1] == (1,) else a for a in outputs]
    boxes = next((a for a in flat if a.ndim == 2 and a.shape[1] in (4, 5)), None)
    labels = next((a for a in flat if a.ndim == 1 and np.issubdtype(a.dtype, np.integer)), None)
    scores = next((a for a in flat if a.ndim == 1 and np.issubdtype(a.dtype, np.floating)), None)
    if boxes is not None and boxes.shape[1] == 5:
        boxes, scores = boxes[:, :4], boxes[:, 4]
    if boxes is None or labels is None or scores is None or not len(boxes) == len(labels) == len(scores):
        raise DataError(
            f"{card.model}: expected labels (Q,), boxes (Q, 4) and scores (Q,), got "
            f"{', '.join(f'{a.dtype} {a.shape}' for a in outputs)}; correct the decoder of the card"
        )
    people = np.isin(labels, card.person)
    return boxes[people], scores[people]
