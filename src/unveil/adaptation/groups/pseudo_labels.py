"""Pseudo-labels: units whose k-reciprocal neighbours agree become one cluster, as far as what is known allows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from unveil.errors import MissingExtraError
from unveil.evaluation.rerank import RerankSettings, jaccard_pairs
from unveil.records import Embedding

SURE = 1e-6  # distance of what must be one person; DBSCAN takes stored zeros for missing


@dataclass(frozen=True)
class Links:
    """What is known of units.

    Args:
        must: ``(M, 2)`` int64 pairs that are one person.
        cannot: pairs that are two.
        places: ``(U,)`` int64 place of each unit by its number: nobody is in two of them. ``None``: all are in one.
    """

    must: np.ndarray
    cannot: np.ndarray
    places: np.ndarray | None = None

    @classmethod
    def none(cls) -> Links:
        """Return links that say nothing."""
        empty = np.empty((0, 2), np.int64)
        return cls(empty, empty)

    def among(self, units: np.ndarray) -> Links:
        """Return the links between units ``(U,)``, ascending, by their places in them; others are left out."""
        places = {int(unit): i for i, unit in enumerate(units)}

        def of(pairs: np.ndarray) -> np.ndarray:
            kept = [(places[int(a)], places[int(b)]) for a, b in pairs if int(a) in places and int(b) in places]
            return np.array(kept, dtype=np.int64).reshape(-1, 2)

        return Links(of(self.must), of(self.cannot), None if self.places is None else self.places[units])

    def places_of(self, count: int) -> np.ndarray:
        """Return the place of each of ``count`` units."""
        return np.zeros(count, np.int64) if self.places is None else self.places


def mean_of_units(embedding: Embedding, units: np.ndarray) -> Embedding:
    """Return one row for each unit code 0 .. U-1: the mean of its crops' vectors, hidden ones left out.

    A vector that no crop shows is hidden in the mean as well.
    """
    count = int(units.max()) + 1
    visible = np.zeros((count, len(embedding.names)), np.float32)
    sums = np.zeros((count, *embedding.vectors.shape[1:]), np.float32)
    np.add.at(visible, units, embedding.visibility)
    np.add.at(sums, units, embedding.vectors * embedding.visibility[:, :, None])
    shown = np.maximum(visible, np.finfo(np.float32).tiny)
    vectors = sums / shown[:, :, None]
    if embedding.metric == "cosine":
        vectors /= np.maximum(np.linalg.norm(vectors, axis=2, keepdims=True), 1e-12)
    largest = np.zeros_like(visible)
    np.maximum.at(largest, units, embedding.visibility)
    return Embedding(vectors, largest, embedding.names, embedding.metric, embedding.weights)


def pseudo_labels(units: Embedding, links: Links, *, radius: float, neighbours: int, smallest: int) -> np.ndarray:
    """Cluster units by DBSCAN on their Jaccard distances; pairs that cannot be one person are never in one cluster.

    Args:
        units: ``(U, E, D)`` numpy embedding, see `mean_of_units`; visibility decides which vectors count.
        links: what is known.
        radius: DBSCAN's eps on the Jaccard distance, in (0, 1).
        neighbours: k1 of the k-reciprocal encoding (Zhong et al., CVPR 2017).
        smallest: DBSCAN's min_samples.

    Returns:
        ``(U,)`` int64 clusters 0 .. C-1, -1 for outliers.

    Raises:
        MissingExtraError: scikit-learn is not installed.
    """
    try:
        from scipy.sparse import csr_matrix
        from sklearn.cluster import DBSCAN
    except ImportError:
        raise MissingExtraError("clustering", "adapt") from None
    if len(units) < 2:
        return np.full(len(units), -1)
    k1 = min(neighbours, len(units) - 1)
    settings = RerankSettings(k1=k1, k2=min(6, k1 + 1))
    offsets, columns, distances = jaccard_pairs(units, settings)
    rows = np.repeat(np.arange(len(units)), np.diff(offsets))
    distances = np.maximum(distances, SURE)
    apart = _keys(links.cannot, len(units))
    known = _keys(links.must, len(units))
    keys = rows * len(units) + columns
    distances = np.where(np.isin(keys, known), SURE, distances)
    places = links.places_of(len(units))
    kept = ~np.isin(keys, apart) & (distances <= radius) & (places[rows] == places[columns])
    extra = np.setdiff1d(known, keys[kept])
    rows = np.concatenate([rows[kept], extra // len(units)])
    columns = np.concatenate([columns[kept], extra % len(units)])
    distances = np.concatenate([distances[kept], np.full(len(extra), SURE)])
    graph = csr_matrix((distances, (rows, columns)), shape=(len(units), len(units)))
    graph.sort_indices()
    labels = DBSCAN(eps=radius, min_samples=smallest, metric="precomputed").fit(graph).labels_.astype(np.int64)
    order = np.argsort(distances, kind="stable")
    edges = np.stack([rows[order], columns[order]], axis=1)
    return _numbered(_without_conflicts(_joined(labels, links.must), edges, links=links), smallest)


def _keys(pairs: np.ndarray, count: int) -> np.ndarray:
    """Return ``row * count + column`` of pairs in both directions."""
    return np.concatenate([pairs[:, 0] * count + pairs[:, 1], pairs[:, 1] * count + pairs[:, 0]])


def _joined(labels: np.ndarray, must: np.ndarray) -> np.ndarray:
    """Put units that must be one person into one cluster; where both have one, the clusters become one."""
    labels = labels.copy()
    for a, b in must:
        if labels[a] < 0 and labels[b] < 0:
            labels[a] = labels[b] = labels.max() + 1
        elif labels[a] < 0 or labels[b] < 0:
            labels[a] = labels[b] = max(labels[a], labels[b])
        else:
            labels[labels == labels[b]] = labels[a]
    return labels


def _without_conflicts(labels: np.ndarray, edges: np.ndarray, *, links: Links) -> np.ndarray:
    """Split clusters in which two units cannot be one person, by joining their units anew, nearest first."""
    if not len(links.cannot):
        return labels
    same = labels[links.cannot[:, 0]] == labels[links.cannot[:, 1]]
    torn = np.unique(labels[links.cannot[same & (labels[links.cannot[:, 0]] >= 0), 0]])
    out, following = labels.copy(), int(labels.max()) + 1
    for cluster in torn:
        members = np.flatnonzero(labels == cluster)
        groups = joined_along(members, edges, links=links)
        for group in groups[1:]:
            out[group] = following
            following += 1
    return out


def joined_along(members: np.ndarray, edges: np.ndarray, *, links: Links) -> list[list[int]]:
    """Join members along edges, nearest first, unless the groups hold two that cannot be one person.

    Args:
        members: numbers of units.
        edges: ``(M, 2)`` pairs of units, the surest first; those with others than members count for nothing.
        links: what is known; pairs that must be one person are joined before all others.
    """
    group_of = {int(unit): [int(unit)] for unit in members}
    inside = np.isin(links.cannot, members).all(axis=1)
    enemies: dict[int, set[int]] = {int(unit): set() for unit in members}
    for a, b in links.cannot[inside]:
        enemies[int(a)].add(int(b))
        enemies[int(b)].add(int(a))
    must = links.must[np.isin(links.must, members).all(axis=1)]
    for a, b in np.concatenate([must, edges[np.isin(edges, members).all(axis=1)]]):
        one, other = group_of[int(a)], group_of[int(b)]
        if one is not other and not any(enemies[unit] & set(other) for unit in one):
            one += other
            for unit in other:
                group_of[unit] = one
    return list({id(group): group for group in group_of.values()}.values())


def _numbered(labels: np.ndarray, smallest: int) -> np.ndarray:
    """Number clusters from 0; what splitting left smaller than a cluster may be becomes an outlier."""
    out = np.full_like(labels, -1)
    following = 0
    for label in np.unique(labels[labels >= 0]):
        members = labels == label
        if members.sum() >= min(smallest, 2):
            out[members] = following
            following += 1
    return out
