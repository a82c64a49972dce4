"""Percentile bootstrap intervals over queries (Efron, 1979)."""

from __future__ import annotations

import numpy as np

CELLS = 4_000_000


def intervals(values: np.ndarray, samples: int = 1000, *, level: float = 0.95, seed: int = 0) -> np.ndarray:
    """Return intervals of the mean of each column when queries are drawn again with replacement.

    Queries of one person are not independent, so the true uncertainty over new people is larger.

    Args:
        values: ``(Q,)`` or ``(Q, M)``, one row a query; rows with NaN are left out.
        samples: how often queries are drawn.
        level: coverage in (0, 1).
        seed: seed of the drawing.

    Returns:
        ``(M, 2)`` lower and upper ends; NaN when no row is left.
    """
    values = values.reshape(len(values), -1).astype(np.float64)
    values = values[~np.isnan(values).any(axis=1)]
    count = len(values)
    if not count:
        return np.full((values.shape[1], 2), np.nan)
    rng = np.random.default_rng(seed)
    means = []
    for start in range(0, samples, step := max(1, CELLS // count)):
        size = min(step, samples - start)
        drawn = rng.integers(count, size=(size, count)) + count * np.arange(size)[:, None]
        # How often each query was drawn turns a thousand means into one product.
        times = np.bincount(drawn.ravel(), minlength=size * count).reshape(size, count)
        means.append(times @ values / count)
    ends = np.quantile(np.concatenate(means), [(1 - level) / 2, (1 + level) / 2], axis=0)
    # Rounding in the product must not put the mean of identical values outside of its interval.
    return np.clip(ends.T, values.min(axis=0)[:, None], values.max(axis=0)[:, None])
