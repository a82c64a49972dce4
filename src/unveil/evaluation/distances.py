"""Visibility-weighted distances between two embeddings, in blocks of queries, exact in float32.

`shared_distances` and `put_last` take numpy arrays or PyTorch's tensors: a GPU computes by the same formula.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from unveil.errors import DataError
from unveil.records import Embedding

BLOCK_BYTES = 64 << 20
CACHE_BYTES = 8 << 20  # of distances that are put together at a time, vector by vector
SMALLEST_NORM = 1e-12
UNSHARED = -1  # instead of a distance, until `put_last` knows how far the others are


def check_pair(query: Embedding, gallery: Embedding) -> None:
    """Refuse embeddings that two different models made, or with a visibility that is no share.

    Raises:
        ValueError: names, metric, weights or length of the vectors differ.
        DataError: a visibility is not in [0, 1].
    """
    for what in ("names", "metric", "weights"):
        if getattr(query, what) != getattr(gallery, what):
            raise ValueError(
                f"query and gallery differ in {what}: {getattr(query, what)} and {getattr(gallery, what)}; "
                "embed both with the same model"
            )
    if query.vectors.shape[2] != gallery.vectors.shape[2]:
        raise ValueError(
            f"query vectors have {query.vectors.shape[2]} numbers, gallery vectors {gallery.vectors.shape[2]}; "
            "embed both with the same model"
        )
    for visibility in (query.visibility, gallery.visibility):
        if not ((visibility >= 0) & (visibility <= 1)).all():
            raise DataError("the embedding is damaged: a visibility is NaN or outside of [0, 1]; embed the crops again")


def block_slices(rows: int, columns: int, *, limit: int = BLOCK_BYTES) -> list[slice]:
    """Cut rows into blocks whose float32 matrix ``(block, columns)`` stays below ``limit`` bytes."""
    step = max(1, limit // (4 * max(columns, 1)))
    return [slice(start, min(start + step, rows)) for start in range(0, rows, step)]


def distance_blocks(
    query: Embedding, gallery: Embedding, *, blocks: Iterable[slice] | None = None, reuse: bool = False
) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield the distances of one block of queries after the other.

    The distance is ``sum_e w_e Vq_e Vg_e d_e / sum_e w_e Vq_e Vg_e``. Two crops that share no visible vector get the
    largest finite distance of that query plus 1, so they come last whatever the metric.

    Args:
        query: ``(Q, E, D)`` numpy embedding.
        gallery: ``(G, E, D)`` numpy embedding of the same model.
        blocks: slices of queries; by default as many as fit in 64 MiB of distances at a time.
        reuse: write every block into the same memory, for a caller who is done with one when it asks for the next.

    Yields:
        The slice and its distances ``(B, G)`` float32, which the caller may overwrite.

    Raises:
        ValueError: the embeddings do not belong together.
        DataError: a vector is not finite, or a visibility is not in [0, 1].
    """
    query, gallery = query.numpy(), gallery.numpy()
    check_pair(query, gallery)
    own, others = sizes(query), sizes(gallery)
    memory = np.empty((0, len(gallery)), np.float32)
    for rows in block_slices(len(query), len(gallery)) if blocks is None else blocks:
        asked = query.select(rows)
        if not reuse or len(memory) < len(asked):
            memory = np.empty((len(asked), len(gallery)), np.float32)
        distances = memory[: len(asked)]
        for columns in block_slices(len(gallery), len(asked), limit=CACHE_BYTES):
            distances[:, columns] = shared_distances(
                asked, gallery.select(columns), own=own[:, rows], others=others[:, columns]
            )
        put_last(distances)
        yield rows, distances


def distance_matrix(query: Embedding, gallery: Embedding) -> np.ndarray:
    """Return all distances ``(Q, G)`` at once; for small sets. See `distance_blocks`."""
    parts = [block for _, block in distance_blocks(query, gallery)]
    return np.concatenate(parts) if parts else np.empty((0, len(gallery)), np.float32)


def part_distances(query: Embedding, row: int, *, gallery: Embedding) -> np.ndarray:
    """Return which vectors make a query near or far.

    Args:
        query: ``(Q, E, D)`` numpy embedding.
        row: which of the queries.
        gallery: ``(G, E, D)`` numpy embedding of the same model.

    Returns:
        ``(G, E)`` float32 distance of each pair of vectors; NaN where one of the two is not visible.
    """
    check_pair(query, gallery)
    out = np.full((len(gallery), len(gallery.names)), np.nan, dtype=np.float32)
    for e in range(len(gallery.names)):
        seen = (gallery.visibility[:, e] > 0) & (query.visibility[row, e] > 0)
        vectors = gallery.vectors[seen, e]
        asked = query.vectors[row : row + 1, e]
        own, others = (_sizes(side, gallery.metric) for side in (asked, vectors))
        out[seen, e] = _vector_distances(asked, vectors, own=own, others=others, metric=gallery.metric)[0]
    return out


def sizes(embedding: Embedding) -> np.ndarray:
    """Return ``(E, N)``: norms of a numpy embedding's vectors for the cosine, squared for the Euclidean distance.

    Raises:
        DataError: a vector is not finite.
    """
    return np.stack([_sizes(embedding.vectors[:, e], embedding.metric) for e in range(len(embedding.names))])


def shared_distances(query: Embedding, gallery: Embedding, *, own: Any, others: Any) -> Any:
    """Return the distances ``(B, G)`` over the vectors that two crops share, -1 where they share none.

    Args:
        query: ``(B, E, D)`` embedding, numpy or on a device.
        gallery: ``(G, E, D)`` embedding of the same kind.
        own: ``(E, B)`` `sizes` of the query's vectors.
        others: ``(E, G)`` of the gallery's.
    """
    library, metric = _library(query.vectors), query.metric
    weighted = library.stack([weight * query.visibility[:, e] for e, weight in enumerate(query.weights)], 1)
    if len(query.names) == 1:
        # One vector: its weight and visibility cancel, so one product is the whole distance.
        total = _vector_distances(
            query.vectors[:, 0], gallery.vectors[:, 0], own=own[0], others=others[0], metric=metric
        )
        total[weighted[:, 0] <= 0] = UNSHARED
        total[:, gallery.visibility[:, 0] <= 0] = UNSHARED
        return total
    shared = weighted @ gallery.visibility.T
    total = library.zeros_like(shared)
    for e in range(len(query.names)):
        part = _vector_distances(
            query.vectors[:, e], gallery.vectors[:, e], own=own[e], others=others[e], metric=metric
        )
        part *= weighted[:, e, None]
        part *= gallery.visibility[:, e]
        total += part
    unshared = shared <= 0
    shared[unshared] = 1
    total /= shared
    total[unshared] = UNSHARED
    return total


def put_last(distances: Any) -> None:
    """Put what `shared_distances` left at -1 one farther than the farthest of each row, in place."""
    for row in distances:
        unshared = row < 0
        if unshared.any():
            row[unshared] = max(row.max(), 0) + 1


def _library(array: Any) -> Any:
    """Return numpy or PyTorch, whichever an array is of; the functions called here do the same in both."""
    return np if isinstance(array, np.ndarray) else sys.modules["torch"]


def _vector_distances(query: Any, gallery: Any, *, own: Any, others: Any, metric: str) -> Any:
    """Distances of ``(B, D)`` to ``(G, D)``; works in place on the one product, because that is what is large."""
    library = _library(query)
    if metric == "cosine":
        out = (query / own[:, None]) @ gallery.T
        out /= -others
        out += 1
        library.clip(out, 0, None, out=out)  # rounding; a copy of the query would be at -0.0000001
    else:
        out = (-2 * query) @ gallery.T
        out += own[:, None]
        out += others
        library.clip(out, 0, None, out=out)
        library.sqrt(out, out=out)
    return out


def _sizes(vectors: np.ndarray, metric: str) -> np.ndarray:
    squared: np.ndarray = np.einsum("nd,nd->n", vectors, vectors)
    if not np.isfinite(squared).all():
        row = int(np.flatnonzero(~np.isfinite(squared))[0])
        raise DataError(f"the embedding is damaged: vector {row} of {len(vectors)} holds NaN, infinity or huge numbers")
    return np.maximum(np.sqrt(squared), SMALLEST_NORM) if metric == "cosine" else squared
