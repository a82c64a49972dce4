"""How well label maps agree: confusion of labels and intersection over union."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def confusion(truth: NDArray[np.uint8], found: NDArray[np.uint8], *, labels: int) -> NDArray[np.int64]:
    """Return how many pixels of each true label (rows) were given each label (columns).

    Args:
        truth: labels, any shape.
        found: labels of the same shape.
        labels: number of labels.

    Raises:
        ValueError: the shapes differ, or a label is not below ``labels``.
    """
    if truth.shape != found.shape:
        raise ValueError(f"expected maps of one shape, got {truth.shape} and {found.shape}")
    pairs = truth.astype(np.int64).ravel() * labels + found.ravel()
    if max(truth.max(initial=0), found.max(initial=0)) >= labels:
        raise ValueError(f"expected labels below {labels}, got {max(truth.max(), found.max())}")
    return np.bincount(pairs, minlength=labels * labels).reshape(labels, labels)


def class_iou(matrix: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the intersection over union of each label ``(labels,)`` of a confusion; NaN where the truth has none."""
    hit = np.diag(matrix).astype(np.float64)
    union = matrix.sum(0) + matrix.sum(1) - hit
    return np.where(matrix.sum(1) > 0, hit / np.maximum(union, 1), np.nan)
