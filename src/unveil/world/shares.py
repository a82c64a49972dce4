"""How much of PAB's six parts, and of the whole body, a rendered crop shows; from what its manifest says."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from unveil.label_sets import PAB6
from unveil.world import labels

SHARES = (*PAB6.labels[1:], "body")
# Mean area of each body part in crops that show all of it, as a share of the person, in the order of `labels.PARTS`.
AREAS = np.array((0.0985, 0.3314, 0.041, 0.041, 0.04, 0.04, 0.099, 0.099, 0.0738, 0.0738, 0.0314, 0.0314))


def world_shares(extra: Mapping[str, str]) -> NDArray[np.float32]:
    """Return the shares of `labels.PARTS`, and last of the whole body; NaN for a part that faces away.

    Args:
        extra: columns of a crop's manifest, with ``visible`` and one for each part.
    """
    parts = [float(extra.get(f"visible_{part}") or "nan") for part in labels.PARTS]
    return np.array([*parts, float(extra["visible"])], np.float32)


def pab_shares(shares: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the shares ``(N, 7)`` of `SHARES` from those of the world's parts ``(N, 13)``.

    A limb's share is the mean of its known pieces, weighted by their usual area; NaN where none is known.
    """
    pab = np.array([labels.table("pab6")[labels.code("upper", part)] for part in labels.PARTS])
    out = np.full((len(shares), len(SHARES)), np.nan, np.float32)
    for k in range(len(SHARES) - 1):
        pieces = shares[:, :-1][:, pab == k + 1]
        weights = np.isfinite(pieces) * AREAS[pab == k + 1]
        total = weights.sum(1)
        known = total > 0
        out[known, k] = (np.nan_to_num(pieces) * weights).sum(1)[known] / total[known]
    out[:, -1] = shares[:, -1]
    return out
