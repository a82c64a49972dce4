"""Which way a person faces, by where the left limbs are in a map."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

MIN_SHARE = 0.001  # share of a crop's pixels from which a limb is seen


def left_from_right(parts: NDArray[np.int64], sides: Sequence[int]) -> NDArray[np.float32]:
    """Return how far the left limbs are to the right of the right ones ``(B,)``: below 0 for who shows the back.

    The distance is a share of the width, and each pair of limbs weighs by the share of the crop that the smaller has;
    pairs of which one is not seen do not count.

    Args:
        parts: part numbers ``(B, H, W)``, -1 outside of the person.
        sides: of each part, 1 for the person's left, -1 for the right, which follows its left, 0 for neither.
    """
    x = np.arange(parts.shape[2]) / parts.shape[2]
    total = np.zeros(len(parts))
    for left in np.flatnonzero(np.array(sides) == 1):
        one, other = parts == left, parts == left + 1
        seen = np.minimum(one.sum((1, 2)), other.sum((1, 2)))
        where, opposite = ((limb * x).sum((1, 2)) / np.maximum(limb.sum((1, 2)), 1) for limb in (one, other))
        total += np.where(seen > MIN_SHARE * parts[0].size, (where - opposite) * seen, 0)
    return (total / parts[0].size).astype(np.float32)
