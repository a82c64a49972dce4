"""Ranks of the positives only: no dense matrix is kept and nothing but values is sorted.

A positive ranks after every non-positive at the same distance (pessimistic ties), so a model that answers the same
for all crops gets the worst figure, not the luck of the storage order.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from unveil.evaluation.distances import block_slices, distance_blocks
from unveil.evaluation.protocols import Labels
from unveil.progress import track
from unveil.records import Embedding


@dataclass(frozen=True)
class Ranks:
    """Ranks of the positives of Q queries, 1 is best, junk already removed.

    Args:
        ranks: ``(M,)`` int64, ascending within each query.
        offsets: ``(Q + 1,)`` int64; query i owns ``ranks[offsets[i]:offsets[i + 1]]``, possibly none.
    """

    ranks: np.ndarray
    offsets: np.ndarray

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def counts(self) -> np.ndarray:
        """Positives of each query, ``(Q,)``."""
        return np.diff(self.offsets)

    def of(self, query: int) -> np.ndarray:
        """Ranks of one query's positives."""
        return self.ranks[self.offsets[query] : self.offsets[query + 1]]


def rank_positives(query: Embedding, gallery: Embedding, *, labels: Labels) -> Ranks:
    """Rank every query's positives in the gallery by the distance of the embeddings.

    Args:
        query: ``(Q, E, D)`` numpy embedding.
        gallery: ``(G, E, D)`` numpy embedding.
        labels: labels of the same Q and G crops.
    """
    if len(query) != len(labels) or len(gallery) != len(labels.gallery["person"]):
        raise ValueError(
            f"labels are for {len(labels)} queries and {len(labels.gallery['person'])} gallery crops, "
            f"embeddings for {len(query)} and {len(gallery)}"
        )
    blocks = block_slices(len(query), len(gallery))
    return rank_blocks(track(distance_blocks(query, gallery, blocks=blocks), "ranking", total=len(blocks)), labels)


def rank_blocks(blocks: Iterable[tuple[slice, np.ndarray]], labels: Labels) -> Ranks:
    """Rank every query's positives by distances that come in blocks of queries, in order.

    Args:
        blocks: slice of queries and its distances ``(B, G)``, which are overwritten.
        labels: labels of all queries and of the gallery.
    """
    ranks, counts = [np.empty(0, np.int64)], [np.zeros(1, np.int64)]
    for rows, distances in blocks:
        block_ranks, block_counts = _rank_block(distances, labels.pairs(rows))
        ranks.append(block_ranks)
        counts.append(block_counts)
    return Ranks(np.concatenate(ranks), np.cumsum(np.concatenate(counts)))


def _rank_block(
    distances: np.ndarray, pairs: tuple[np.ndarray, np.ndarray, np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    row, crop, junk = pairs
    values = distances[row, crop]
    by_distance = np.lexsort((values, row))
    row, values, junk = row[by_distance], values[by_distance], junk[by_distance]
    distances.sort(axis=1)
    starts = np.searchsorted(row, np.arange(len(distances) + 1))
    out = []
    for i in range(len(distances)):
        own = slice(starts[i], starts[i + 1])
        same, is_junk = values[own], junk[own]
        positive = same[~is_junk]
        # Others at most this far are all crops at most this far less those of the same person, junk or not.
        ahead = np.searchsorted(distances[i], positive, "right") - np.searchsorted(same, positive, "right")
        out.append(ahead + np.arange(1, len(positive) + 1))
    ranks = np.concatenate(out) if out else np.empty(0, np.int64)
    return ranks, np.bincount(row[~junk], minlength=len(distances))
