"""CMC, average precision and inverse negative penalty as pure functions of the positives' ranks.

A query without positives has no value (NaN) and takes part in no average.
"""

from __future__ import annotations

import numpy as np

from unveil.evaluation.ragged import ranges
from unveil.evaluation.ranking import Ranks


def average_precision(ranks: Ranks) -> np.ndarray:
    """Return each query's AP: the mean over its positives of the precision at their rank, without interpolation.

    Returns:
        ``(Q,)`` float64 in (0, 1]; NaN without a positive.
    """
    found = ranges(np.ones(len(ranks), np.int64), ranks.counts)
    total = np.bincount(
        np.repeat(np.arange(len(ranks)), ranks.counts), weights=found / ranks.ranks, minlength=len(ranks)
    )
    with np.errstate(invalid="ignore"):
        return total / ranks.counts


def first_rank(ranks: Ranks) -> np.ndarray:
    """Return the rank of each query's best positive, ``(Q,)`` float64; NaN without one."""
    return _pick(ranks, ranks.offsets[:-1])


def inverse_negative_penalty(ranks: Ranks) -> np.ndarray:
    """Return each query's INP (Ye et al., TPAMI 2021, eq. 4): positives over the rank of the hardest one.

    Returns:
        ``(Q,)`` float64 in (0, 1]; NaN without a positive.
    """
    return ranks.counts / _pick(ranks, ranks.offsets[1:] - 1)


def hits(ranks: Ranks, k: int) -> np.ndarray:
    """Return 1 where a query has a positive among its first k, else 0, ``(Q,)``; NaN without a positive."""
    first = first_rank(ranks)
    return np.where(np.isnan(first), np.nan, first <= k)


def cmc(ranks: Ranks, length: int) -> np.ndarray:
    """Return CMC-1 ... CMC-length, ``(length,)`` in [0, 1]: kept queries with a positive among the first k."""
    first = first_rank(ranks)
    first = np.sort(first[~np.isnan(first)])
    if not len(first):
        return np.full(length, np.nan)
    return np.searchsorted(first, np.arange(1, length + 1), "right") / len(first)


def _pick(ranks: Ranks, at: np.ndarray) -> np.ndarray:
    out = np.full(len(ranks), np.nan)
    kept = ranks.counts > 0
    out[kept] = ranks.ranks[at[kept]]
    return out
