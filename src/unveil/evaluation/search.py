"""Exact search: the nearest gallery crops of each query, equal distances in gallery order."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from unveil.evaluation.distances import block_slices, distance_blocks, distance_matrix
from unveil.progress import track
from unveil.records import Embedding


def search(
    query: Embedding,
    gallery: Embedding,
    *,
    top: int,
    groups: Sequence[int] | np.ndarray | None = None,
    negatives: Embedding | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the nearest gallery crops of each query.

    Args:
        query: ``(Q, E, D)`` numpy embedding.
        gallery: ``(G, E, D)`` numpy embedding of the same model.
        top: how many to return, at least 1; no more than G come back.
        groups: ``(Q,)`` group of each query crop; crops of one group are one query, whose distance to a gallery crop
            is the mean over its crops. ``None``: every crop is a query of its own.
        negatives: crops of people who are not looked for. A gallery crop that is nearer to one of them than to the
            query is as much farther away as it is nearer: d + max(0, d - d_negative). Others keep their distance.

    Returns:
        Gallery indices ``(R, k)`` int64 and distances ``(R, k)`` float32, nearest first, with one row a query; with
        groups, one row a group, ascending by group.

    Raises:
        ValueError: ``top`` is not positive, the gallery is empty, or ``groups`` has another length.
    """
    if top < 1 or not len(gallery):
        raise ValueError(f"expected top >= 1 and a gallery with crops, got top {top} and {len(gallery)} crops")
    blocks = block_slices(len(query), len(gallery))
    starts = np.arange(len(query))
    if groups is not None:
        query, starts, blocks = _grouped(query, np.asarray(groups), blocks=blocks)
    others = None if negatives is None or not len(negatives) else distance_matrix(negatives, gallery).min(axis=0)
    indices, distances = [np.empty((0, min(top, len(gallery))), np.int64)], [np.empty((0, min(top, len(gallery))))]
    for rows, block in track(distance_blocks(query, gallery, blocks=blocks), "searching", total=len(blocks)):
        own = starts[(starts >= rows.start) & (starts < rows.stop)] - rows.start
        if len(own) < len(block):
            block = np.add.reduceat(block, own, axis=0) / np.diff(np.append(own, len(block)))[:, None]
        if others is not None:
            block = block + np.maximum(block - others, 0)
        found = nearest(block, top)
        indices.append(found)
        distances.append(np.take_along_axis(block, found, axis=1))
    return np.concatenate(indices), np.concatenate(distances).astype(np.float32)


def nearest(distances: np.ndarray, top: int) -> np.ndarray:
    """Return the columns of the ``top`` smallest values of each row ``(B, G)``, ascending, ties by column."""
    top = min(top, distances.shape[1])
    limits = np.partition(distances, top - 1, axis=1)[:, top - 1]
    out = np.empty((len(distances), top), dtype=np.int64)
    for row, limit, found in zip(distances, limits, out, strict=True):
        candidates = np.flatnonzero(row <= limit)
        found[:] = candidates[np.argsort(row[candidates], kind="stable")[:top]]
    return out


def _grouped(query: Embedding, groups: np.ndarray, *, blocks: list[slice]) -> tuple[Embedding, np.ndarray, list[slice]]:
    """Sort queries by group, and move the ends of blocks so that no group is cut."""
    if groups.shape != (len(query),):
        raise ValueError(f"groups: expected ({len(query)},), got {groups.shape}")
    order = np.argsort(groups, kind="stable")
    starts = np.unique(groups[order], return_index=True)[1]
    ends = np.append(starts, len(query))
    cuts = np.unique(ends[np.searchsorted(ends, [0, *(b.stop for b in blocks)])])
    whole = [slice(start, stop) for start, stop in pairwise(cuts.tolist())]
    return query.select(order), starts, whole
