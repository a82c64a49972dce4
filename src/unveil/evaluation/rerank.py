"""Re-ranking by k-reciprocal nearest neighbours (Zhong et al., CVPR 2017), sparse and in blocks.

Queries and gallery are neighbours of each other in one set, and a crop is its own first neighbour. The paper's distance
is a quadratic form (eq. 1), so Euclidean ones are squared; cosine distances are that, up to their scale. The paper
leaves the scale open; here, as is usual, the distances of a crop are divided by the largest of them.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from unveil.errors import UnveilError
from unveil.evaluation.distances import BLOCK_BYTES, block_slices, distance_blocks
from unveil.evaluation.ragged import ranges
from unveil.evaluation.search import nearest
from unveil.progress import track
from unveil.records import Embedding

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class RerankSettings:
    """Settings with the paper's values.

    Args:
        k1: neighbours that may be reciprocal.
        k2: neighbours, the crop itself among them, over which encodings are averaged; 1 averages nothing.
        original: share of the original distance in the result (the paper's lambda).
        limit: bytes that re-ranking may need beyond the features; ``None`` sets no limit.
    """

    k1: int = 20
    k2: int = 6
    original: float = 0.3
    limit: int | None = None

    def __post_init__(self) -> None:
        if self.k1 < 1 or not 1 <= self.k2 <= self.k1 + 1 or not 0 <= self.original <= 1:
            raise UnveilError(
                f"re-ranking: expected k1 >= 1, k2 from 1 to k1 + 1 and original in [0, 1], got {self.k1}, {self.k2} "
                f"and {self.original}"
            )

    def __str__(self) -> str:
        return f"k1 {self.k1}, k2 {self.k2}, lambda {self.original:g}"


@dataclass(frozen=True)
class _Sparse:
    """Rows of column indices and weights: row i owns ``offsets[i]`` to ``offsets[i + 1]``."""

    offsets: np.ndarray
    columns: np.ndarray
    weights: np.ndarray

    @staticmethod
    def from_keys(keys: np.ndarray, weights: np.ndarray, *, rows: int, columns: int) -> _Sparse:
        """Build from sorted ``row * columns + column``."""
        offsets = np.searchsorted(keys, np.arange(rows + 1) * columns)
        return _Sparse(offsets, (keys % columns).astype(np.int32), weights.astype(np.float32))

    def entries(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Positions of the entries of some rows, and how many each row has."""
        counts = self.offsets[rows + 1] - self.offsets[rows]
        return ranges(self.offsets[rows], counts), counts


def rerank_memory(queries: int, gallery: int, *, numbers: int, settings: RerankSettings) -> int:
    """Return the bytes that re-ranking needs at most beyond the features.

    Args:
        queries: Q.
        gallery: G.
        numbers: E * D, the numbers of one crop's embedding.
        settings: k1 and k2 decide how wide the sparse rows can be.
    """
    crops = queries + gallery
    neighbours = min(settings.k1 + 1, crops)
    expanded = min(neighbours * (_half(settings.k1) + 2), crops)
    averaged = min(expanded * settings.k2, crops)
    joined = 4 * crops * (numbers + 1)
    # Sparse entries are 8 bytes; the averaged ones exist a second time, by column.
    return joined + 8 * crops * (neighbours + expanded + 2 * averaged) + 6 * BLOCK_BYTES


def rerank_blocks(
    query: Embedding, gallery: Embedding, *, settings: RerankSettings | None = None
) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield re-ranked distances of one block of queries after the other, like `distance_blocks`.

    Args:
        query: ``(Q, E, D)`` numpy embedding.
        gallery: ``(G, E, D)`` numpy embedding.
        settings: k1, k2 and the share of the original distance; ``None``: the paper's.

    Yields:
        The slice and its distances ``(B, G)`` float32 in [0, 1] up to rounding.

    Raises:
        UnveilError: the memory estimate is above the limit.
    """
    settings = settings or RerankSettings()
    encoded, largest = _encoded(
        Embedding.concatenate([query, gallery]), len(query), gallery=len(gallery), settings=settings
    )
    by_column = _transpose(encoded, len(query))
    totals = np.add.reduceat(encoded.weights, encoded.offsets[:-1])
    blocks = block_slices(len(query), len(gallery))
    for rows, distances in track(_quadratic(query, gallery, blocks=blocks), "re-ranking: distances", total=len(blocks)):
        distances *= settings.original / largest[rows, None]
        for i in range(rows.start, rows.stop):
            shared = _shared(encoded, by_column, row=i, gallery=len(gallery))
            # Eq. 10: the sum of the larger weights is both totals less the sum of the smaller ones.
            jaccard = 1 - shared / (totals[i] + totals[len(query) :] - shared)
            distances[i - rows.start] += (1 - settings.original) * jaccard  # eq. 12
        yield rows, distances


def jaccard_pairs(crops: Embedding, settings: RerankSettings) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the Jaccard distances (eq. 10) of all pairs that share a k-reciprocal neighbour; all others are 1 apart.

    Args:
        crops: ``(N, E, D)`` numpy embedding, N at least 2.
        settings: k1, k2 and the limit of memory.

    Returns:
        ``(N + 1,)`` offsets, columns and float32 distances: row i owns ``offsets[i]`` to ``offsets[i + 1]``; itself,
        at distance 0, is left out.

    Raises:
        UnveilError: the memory estimate is above the limit.
    """
    encoded = _encoded(crops, len(crops), gallery=0, settings=settings)[0]
    by_column = _transpose(encoded, 0)
    totals = np.add.reduceat(encoded.weights, encoded.offsets[:-1])
    columns, distances = [], []
    for i in track(range(len(crops)), f"Jaccard distances of {len(crops)}"):
        shared = _shared(encoded, by_column, row=i, gallery=len(crops))
        shared[i] = 0
        near = np.flatnonzero(shared)
        columns.append(near)
        jaccard = 1 - shared[near] / (totals[i] + totals[near] - shared[near])
        distances.append(np.maximum(jaccard, 0).astype(np.float32))  # rounding puts equal crops below 0
    offsets = np.cumsum([0, *map(len, columns)])
    return offsets, np.concatenate(columns), np.concatenate(distances)


def _encoded(crops: Embedding, queries: int, *, gallery: int, settings: RerankSettings) -> tuple[_Sparse, np.ndarray]:
    """Return the averaged encodings of all crops, and the largest distance of each."""
    need = rerank_memory(queries, gallery, numbers=crops.vectors.shape[1] * crops.vectors.shape[2], settings=settings)
    logger.info("k-reciprocal neighbours of %d crops: at most %.2f GiB", len(crops), need / 2**30)
    if settings.limit is not None and need > settings.limit:
        raise UnveilError(
            f"re-ranking {queries} x {gallery} crops may need {need / 2**30:.2f} GiB, the limit is "
            f"{settings.limit / 2**30:.2f} GiB: raise the limit, lower k1 or k2, or do without re-ranking"
        )
    neighbours, largest = _neighbours(crops, settings.k1 + 1)
    return _average(_encode(crops, neighbours, largest=largest, k1=settings.k1), neighbours[:, : settings.k2]), largest


def _half(k1: int) -> int:
    return (k1 + 1) // 2


def _neighbours(crops: Embedding, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The nearest crops of each crop, itself first, ``(N, count)``, and its largest distance ``(N,)``."""
    indices, largest = [], []
    for rows, distances in _blocks(crops, "re-ranking: neighbours"):
        largest.append(np.maximum(distances.max(axis=1), np.finfo(np.float32).tiny))
        distances[np.arange(len(distances)), np.arange(rows.start, rows.stop)] = -np.inf
        indices.append(nearest(distances, count).astype(np.int32))
    return np.concatenate(indices), np.concatenate(largest)


def _blocks(crops: Embedding, what: str) -> Iterator[tuple[slice, np.ndarray]]:
    blocks = block_slices(len(crops), len(crops))
    return track(_quadratic(crops, crops, blocks=blocks), what, total=len(blocks))


def _quadratic(query: Embedding, gallery: Embedding, *, blocks: Sequence[slice]) -> Iterator[tuple[slice, np.ndarray]]:
    """Eq. 1: yield distances as `distance_blocks` does, Euclidean ones squared."""
    for rows, distances in distance_blocks(query, gallery, blocks=blocks):
        if query.metric == "euclidean":
            np.square(distances, out=distances)
        yield rows, distances


def _encode(crops: Embedding, neighbours: np.ndarray, *, largest: np.ndarray, k1: int) -> _Sparse:
    """Eq. 7: the k-reciprocal neighbours of each crop, weighted by exp(-distance)."""
    count = len(crops)
    reciprocal = np.where(_mutual(neighbours), neighbours, -1)
    close = neighbours[:, : _half(k1) + 1]
    reciprocal_half = np.where(_mutual(close), close, -1)
    keys, weights = [], []
    for rows, distances in _blocks(crops, "re-ranking: encoding"):
        own = np.concatenate([_expand(reciprocal, reciprocal_half, rows=part, count=count) for part in _cut(rows, 256)])
        row, column = own // count - rows.start, own % count
        distances /= largest[rows, None]
        distances[np.arange(len(distances)), np.arange(rows.start, rows.stop)] = 0
        keys.append(own)
        weights.append(np.exp(-distances[row, column]))
    return _Sparse.from_keys(np.concatenate(keys), np.concatenate(weights), rows=count, columns=count)


def _cut(rows: slice, step: int) -> list[slice]:
    return [slice(start, min(start + step, rows.stop)) for start in range(rows.start, rows.stop, step)]


def _mutual(neighbours: np.ndarray) -> np.ndarray:
    """Eq. 3: whether a crop is among the neighbours of its neighbour, ``(N, K)`` bool."""
    out = np.empty(neighbours.shape, dtype=bool)
    for rows in _cut(slice(0, len(neighbours)), 4096):
        own = np.arange(rows.start, rows.stop)[:, None, None]
        out[rows] = (neighbours[neighbours[rows]] == own).any(axis=2)
    return out


def _expand(reciprocal: np.ndarray, reciprocal_half: np.ndarray, *, rows: slice, count: int) -> np.ndarray:
    """Eq. 5: add the half-size set of a reciprocal neighbour when two thirds of it are already in the set.

    Returns:
        Sorted unique ``row * count + column`` of the expanded sets.
    """
    own = reciprocal[rows]
    theirs = np.where(own[:, :, None] >= 0, reciprocal_half[own], -1)  # (B, K, H), -1 where there is none
    inside = (theirs[..., None] == np.where(own < 0, -2, own)[:, None, None, :]).any(axis=-1)
    size = (theirs >= 0).sum(axis=-1)
    joins = (own >= 0) & (3 * inside.sum(axis=-1) >= 2 * size)
    added = np.where(joins[:, :, None], theirs, -1).reshape(len(own), -1)
    columns = np.concatenate([own, added], axis=1).astype(np.int64)
    keys = columns + count * np.arange(rows.start, rows.stop)[:, None]
    return np.unique(keys[columns >= 0])


def _average(encoded: _Sparse, neighbours: np.ndarray) -> _Sparse:
    """Eq. 11: the mean of the encodings of the nearest neighbours."""
    count, k2 = neighbours.shape
    keys, weights = [], []
    for rows in _cut(slice(0, count), 1024):
        entries, lengths = encoded.entries(neighbours[rows].ravel())
        row = np.repeat(np.arange(rows.start, rows.stop).repeat(k2), lengths)
        unique, place = np.unique(row * count + encoded.columns[entries], return_inverse=True)
        keys.append(unique)
        weights.append(np.bincount(place, weights=encoded.weights[entries]) / k2)
    return _Sparse.from_keys(np.concatenate(keys), np.concatenate(weights), rows=count, columns=count)


def _transpose(encoded: _Sparse, first: int) -> _Sparse:
    """Rows from ``first`` on (the gallery) by column: row j lists the gallery crops whose encoding has j."""
    count = len(encoded.offsets) - 1
    columns, weights = encoded.columns[encoded.offsets[first] :], encoded.weights[encoded.offsets[first] :]
    row = np.repeat(np.arange(count - first, dtype=np.int32), np.diff(encoded.offsets)[first:])
    order = np.argsort(columns, kind="stable")
    return _Sparse(np.searchsorted(columns[order], np.arange(count + 1)), row[order], weights[order])


def _shared(encoded: _Sparse, by_column: _Sparse, *, row: int, gallery: int) -> np.ndarray:
    """Sum over columns of the smaller weight of a query and each gallery crop, ``(G,)``."""
    mine = slice(encoded.offsets[row], encoded.offsets[row + 1])
    entries, lengths = by_column.entries(encoded.columns[mine])
    smaller = np.minimum(np.repeat(encoded.weights[mine], lengths), by_column.weights[entries])
    return np.bincount(by_column.columns[entries], weights=smaller, minlength=gallery)
