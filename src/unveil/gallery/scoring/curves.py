"""Curves from distances to probabilities.

Isotonic regression (Zadrozny and Elkan, KDD 2002) or a logistic curve (Platt, 1999, with his smoothed targets).
"""

from __future__ import annotations

import numpy as np

from unveil.errors import MissingExtraError

EVEN = 0.5  # a hit that is more likely somebody else is no match, however rarely a search for nobody finds one


def fit_curve(kind: str, distances: np.ndarray, *, same: np.ndarray) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return x and y of a curve fitted to labelled pairs; see `Calibration`.

    Args:
        kind: "isotonic" or "logistic".
        distances: ``(N,)``.
        same: ``(N,)`` bool.

    Raises:
        MissingExtraError: scipy is not installed.
    """
    try:
        from scipy import optimize
    except ImportError:
        raise MissingExtraError("calibration", "gallery") from None
    if kind == "logistic":
        # Platt's targets keep the curve finite where the two kinds do not overlap.
        ones, zeros = same.sum(), (~same).sum()
        targets = np.where(same, (ones + 1) / (ones + 2), 1 / (zeros + 2))
        centre, spread = distances.mean(), max(distances.std(), 1e-12)
        z = (distances - centre) / spread

        def loss(p: np.ndarray) -> tuple[float, np.ndarray]:
            a = p[0] * z + p[1]
            residual = _sigmoid(a) - targets
            return float((np.logaddexp(0, a) - targets * a).mean()), np.array([(residual * z).mean(), residual.mean()])

        slope, offset = optimize.minimize(loss, np.array([-1.0, 0.0]), jac=True, method="BFGS").x
        # A model whose far pairs are the same person would turn the order around.
        slope = min(float(slope), 0.0)
        return (slope / spread, float(offset) - slope * centre / spread), ()
    order = np.argsort(distances, kind="stable")
    levels, starts = np.unique(distances[order], return_index=True)
    counts = np.diff(np.append(starts, len(order)))
    shares = np.add.reduceat(same[order].astype(np.float64), starts) / counts
    y = optimize.isotonic_regression(shares, weights=counts, increasing=False).x
    # No finite number of pairs proves that something is certain.
    y = np.clip(y, 1 - surest(len(same)), surest(len(same)))
    ends = np.flatnonzero(np.diff(y) != 0)
    keep = np.unique(np.concatenate([[0], ends, ends + 1, [len(y) - 1]]))
    return tuple(levels[keep].tolist()), tuple(y[keep].tolist())


def apply_curve(kind: str, x: tuple[float, ...], *, y: tuple[float, ...], distances: np.ndarray) -> np.ndarray:
    """Return the probability at each distance, ``(N,)``."""
    if kind == "logistic":
        return _sigmoid(x[0] * distances + x[1])
    return np.asarray(np.interp(distances, x, y))


def surest(pairs: int) -> float:
    """Return the largest probability that so many pairs can support (Laplace's rule of succession)."""
    return 1 - 1 / (pairs + 2)


def even_distance(kind: str, x: tuple[float, ...], *, y: tuple[float, ...]) -> float:
    """Return the largest distance at which one person is at least as likely as two; -inf when there is none."""
    if kind == "logistic":
        slope, offset = x
        if slope == 0:
            return np.inf if offset >= 0 else -np.inf
        return -offset / slope
    at = np.flatnonzero(np.asarray(y) >= EVEN)
    if not len(at) or at[-1] == len(y) - 1:
        return np.inf if len(at) else -np.inf
    last = at[-1]
    return float(x[last] + (y[last] - EVEN) / (y[last] - y[last + 1]) * (x[last + 1] - x[last]))


def _sigmoid(a: np.ndarray) -> np.ndarray:
    return np.asarray(0.5 * (1 + np.tanh(a / 2)))
