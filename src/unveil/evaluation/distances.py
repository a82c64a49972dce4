"""Visibility-weighted distances between two embeddings, in blocks of queries, exact in float32."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from unveil.errors import DataError
from unveil.records import Embedding

BLOCK_BYTES = 64 << 20
SMALLEST_NORM = 1e-12


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
    query: Embedding, gallery: Embedding, *, blocks: Iterable[slice] | None = None
) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield the distances of one block of queries after the other.

    The distance is ``sum_e w_e Vq_e Vg_e d_e / sum_e w_e Vq_e Vg_e``. Two crops that share no visible vector get the
    largest finite distance of that query plus 1, so they come last whatever the metric.

    Args:
        query: ``(Q, E, D)`` numpy embedding.
        gallery: ``(G, E, D)`` numpy embedding of the same model.
        blocks: slices of queries; by default as many as fit in 64 MiB of distances at a time.

    Yields:
        The slice and its distances ``(B, G)`` float32, which the caller may overwrite.

    Raises:
        ValueError: the embeddings do not belong together.
        DataError: a vector is not finite, or a visibility is not in [0, 1].
    """
    query, gallery = query.numpy(), gallery.numpy()
    check_pair(query, gallery)
    sizes = np.stack([_sizes(gallery.vectors[:, e], gallery.metric) for e in range(len(gallery.names))])
    for rows in block_slices(len(query), len(gallery)) if blocks is None else blocks:
        yield rows, _block(query.select(rows), gallery, sizes=sizes)


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
        sizes = _sizes(vectors, gallery.metric)
        out[seen, e] = _vector_distances(query.vectors[row : row + 1, e], vectors, sizes=sizes, metric=gallery.metric)[
            0
        ]
    return out


def _block(query: Embedding, gallery: Embedding, *, sizes: np.ndarray) -> np.ndarray:
    weights = np.asarray(gallery.weights, dtype=np.float32)
    shared = (query.visibility * weights) @ gallery.visibility.T if len(weights) > 1 else None
    if shared is None:
        # One vector: its weight and visibility cancel, so one product is the whole distance.
        total = _vector_distances(query.vectors[:, 0], gallery.vectors[:, 0], sizes=sizes[0], metric=gallery.metric)
        unseen_query, unseen_gallery = query.visibility[:, 0] * weights[0] <= 0, gallery.visibility[:, 0] <= 0
        if not unseen_query.any() and not unseen_gallery.any():
            return total
        unseen = unseen_query[:, None] | unseen_gallery
    else:
        total = np.zeros_like(shared)
        for e, weight in enumerate(weights):
            part = _vector_distances(query.vectors[:, e], gallery.vectors[:, e], sizes=sizes[e], metric=gallery.metric)
            part *= weight * query.visibility[:, e, None]
            part *= gallery.visibility[:, e]
            total += part
        unseen = shared <= 0
        shared[unseen] = 1
        total /= shared
    total[unseen] = 0
    total += unseen * (total.max(axis=1, keepdims=True) + np.float32(1))
    return total


def _vector_distances(query: np.ndarray, gallery: np.ndarray, *, sizes: np.ndarray, metric: str) -> np.ndarray:
    """Distances of ``(B, D)`` to ``(G, D)``; works in place on the one product, because the block is what is large."""
    own = _sizes(query, metric)
    out: np.ndarray
    if metric == "cosine":
        out = (query / own[:, None]) @ gallery.T
        out /= -sizes
        out += 1
        np.maximum(out, 0, out=out)  # rounding; a copy of the query would be at -0.0000001
    else:
        out = (-2 * query) @ gallery.T
        out += own[:, None]
        out += sizes
        np.maximum(out, 0, out=out)
        np.sqrt(out, out=out)
    return out


def _sizes(vectors: np.ndarray, metric: str) -> np.ndarray:
    """Norms for the cosine, squared norms for the Euclidean distance, ``(N,)``."""
    squared: np.ndarray = np.einsum("nd,nd->n", vectors, vectors)
    if not np.isfinite(squared).all():
        row = int(np.flatnonzero(~np.isfinite(squared))[0])
        raise DataError(f"the embedding is damaged: vector {row} of {len(vectors)} holds NaN, infinity or huge numbers")
    return np.maximum(np.sqrt(squared), SMALLEST_NORM) if metric == "cosine" else squared
