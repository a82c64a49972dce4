"""Rows of different lengths, kept as flat arrays."""

from __future__ import annotations

import numpy as np


def ranges(starts: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return ``starts[0], starts[0] + 1, ...`` (``counts[0]`` numbers), then those of the next range, and so on."""
    shift = starts - (np.cumsum(counts) - counts)
    return np.arange(int(counts.sum())) + np.repeat(shift, counts)
