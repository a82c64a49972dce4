"""Agglomerative clustering of rows into probable people, by average linkage (Sokal and Michener, 1958).

Two groups are joined while the mean distance between their rows is below a threshold. Unlike with single linkage, a
chain of rows each near to the next does not become one person; unlike with complete linkage, one bad crop does not keep
two halves of a person apart. Rows that cannot be one person are never in one group.

What must be one person is joined last, group by group: somebody in two outfits has two groups, each with all that look
like it. Joined first, the mean distance to both outfits would keep away what looks like either.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from unveil.errors import DataError, MissingExtraError
from unveil.evaluation.distances import distance_blocks, distance_matrix
from unveil.gallery.grouping.links import PersonLinks
from unveil.progress import track
from unveil.records import Embedding

MAX_TOGETHER = 10_000  # rows that hang together, of which all distances are held at once
NEUTRAL = 1.0001  # times the threshold: what two rows count that share no visible part, so that they join nothing


class Clusters(NamedTuple):
    """Clusters of rows.

    Args:
        labels: ``(N,)`` int64 clusters 0 .. C-1, in the order of their first rows.
        distances: ``(N,)`` float32 mean distance of a row from those that it was joined with by distance; NaN for a row
            that is alone or shares no visible part with them.
    """

    labels: np.ndarray
    distances: np.ndarray


def cluster(rows: Embedding, links: PersonLinks, *, threshold: float) -> Clusters:
    """Cluster rows.

    Only rows that hang together by pairs below the threshold can be joined, so each such part is clustered by itself,
    which changes nothing in the result.

    Args:
        rows: ``(N, E, D)`` numpy embedding, in the mode that counts.
        links: what is known of them.
        threshold: mean distance up to which two groups are joined.

    Raises:
        MissingExtraError: scipy is not installed.
        DataError: more than `MAX_TOGETHER` rows hang together.
    """
    labels = np.full(len(rows), -1, np.int64)
    distances = np.full(len(rows), np.nan, np.float32)
    apart = _apart(links)
    parts = _parts(rows, threshold)
    order = np.argsort(parts, kind="stable")
    ends = np.flatnonzero(np.diff(parts[order])) + 1
    following = 0
    for members in track(np.split(order, ends) if len(order) else [], "grouping"):
        if len(members) > MAX_TOGETHER:
            raise DataError(
                f"at this threshold {len(members):,} rows hang together, more than {MAX_TOGETHER:,}: calibrate with "
                "fewer false alarms, or give a smaller --threshold"
            )
        if len(members) == 1:
            labels[members] = following
        else:
            between = _distances(rows.select(members))
            known = np.where(np.isnan(between), np.float32(NEUTRAL * threshold), between)
            _keep_apart(known, links.units[members], apart=apart)
            own = _merged(known, threshold)
            labels[members] = following + own
            distances[members] = _from_others(between, own)
        following = int(labels[members].max()) + 1
    _join_units(labels, links.units, apart=apart)
    _, first, codes = np.unique(labels, return_index=True, return_inverse=True)
    return Clusters(np.argsort(np.argsort(first))[codes].astype(np.int64), distances)


def _apart(links: PersonLinks) -> dict[int, set[int]]:
    """Return for each unit those that are another person."""
    apart: dict[int, set[int]] = {}
    for a, b in links.cannot.tolist():
        apart.setdefault(a, set()).add(b)
        apart.setdefault(b, set()).add(a)
    return apart


def _parts(rows: Embedding, threshold: float) -> np.ndarray:
    """Return for each row a code of the part that it hangs together with, ``(N,)``."""
    try:
        from scipy.sparse import coo_matrix
        from scipy.sparse.csgraph import connected_components
    except ImportError:
        raise MissingExtraError("grouping", "gallery") from None
    parts = np.arange(len(rows))
    for block, distances in track(distance_blocks(rows, rows), "comparing rows"):
        near, other = np.nonzero((distances < threshold) & _shared(rows.select(block), rows))
        edges = (parts[near + block.start], parts[other])
        graph = coo_matrix((np.ones(len(near), bool), edges), shape=(len(rows), len(rows)))
        parts = connected_components(graph, directed=False)[1].astype(np.int64)[parts]
    return parts


def _shared(left: Embedding, right: Embedding) -> np.ndarray:
    """Return which pairs share a visible vector, ``(L, R)`` bool."""
    weights = np.asarray(left.weights or (1.0,) * len(left.names), np.float32)
    return np.asarray((left.visibility * weights) @ right.visibility.T > 0)


def _distances(rows: Embedding) -> np.ndarray:
    """Return the distances of all pairs ``(N, N)`` float32; NaN on the diagonal and where nothing can be compared."""
    between = distance_matrix(rows, rows)
    between[~_shared(rows, rows)] = np.nan
    np.fill_diagonal(between, np.nan)
    return between


def _keep_apart(distances: np.ndarray, units: np.ndarray, *, apart: dict[int, set[int]]) -> None:
    """Make rows of units that are two people infinitely far from each other."""
    rows: dict[int, list[int]] = {}
    for row, unit in enumerate(units.tolist()):
        rows.setdefault(unit, []).append(row)
    for unit, own in rows.items():
        for other in apart.get(unit, set()) & rows.keys():
            distances[np.ix_(own, rows[other])] = np.inf


def _merged(distances: np.ndarray, threshold: float) -> np.ndarray:
    """Join the nearest two while they are nearer than the threshold; ``distances`` is overwritten.

    Returns:
        ``(N,)`` int64 codes 0 .. C-1.
    """
    np.fill_diagonal(distances, np.inf)
    of, sizes = np.arange(len(distances)), np.ones(len(distances))
    nearest = distances.argmin(axis=1)
    value = distances[of, nearest]
    while True:
        a = int(value.argmin())
        if not value[a] < threshold:
            break
        b = int(nearest[a])
        mean = (sizes[a] * distances[a] + sizes[b] * distances[b]) / (sizes[a] + sizes[b])
        mean[[a, b]] = np.inf
        distances[a] = distances[:, a] = mean
        distances[b] = distances[:, b] = np.inf
        value[b] = np.inf
        sizes[a] += sizes[b]
        of[of == b] = a
        # No row is nearer to the two together than to the nearer of them, so other nearest rows stay.
        stale = np.append(np.flatnonzero(((nearest == a) | (nearest == b)) & np.isfinite(value)), a)
        nearest[stale] = distances[stale].argmin(axis=1)
        value[stale] = distances[stale, nearest[stale]]
    return np.unique(of, return_inverse=True)[1].astype(np.int64)


def _join_units(labels: np.ndarray, units: np.ndarray, *, apart: dict[int, set[int]]) -> None:
    """Put the rows of each unit into one cluster, and with them the clusters that they were in; changes ``labels``.

    What of such a cluster is another person than the rest stays behind.
    """
    names, counts = np.unique(units, return_counts=True)
    for unit in names[counts > 1][np.argsort(-counts[counts > 1], kind="stable")].tolist():
        own = units == unit
        touched, shares = np.unique(labels[own], return_counts=True)
        if len(touched) == 1:
            continue
        new, there = int(labels.max()) + 1, {unit}
        rest = [np.flatnonzero((labels == label) & ~own) for label in touched[np.argsort(-shares, kind="stable")]]
        labels[own] = new
        for rows in rest:
            others = set(units[rows].tolist())
            if not any(apart.get(other, set()) & there for other in others):
                labels[rows] = new
                there |= others


def _from_others(between: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the mean distance of each row from the others of its cluster, ``(N,)`` float32."""
    out = np.full(len(labels), np.nan, np.float32)
    for label in range(int(labels.max()) + 1):
        own = np.flatnonzero(labels == label)
        block = between[np.ix_(own, own)]
        counted = (~np.isnan(block)).sum(axis=1)
        sums = np.nansum(block, axis=1)
        out[own] = np.divide(sums, counted, out=np.full(len(own), np.nan, np.float32), where=counted > 0)
    return out
