"""Ranks of the positives only: no dense matrix is kept, crops nearer than a positive are counted.

A positive ranks after every non-positive at the same distance (pessimistic ties), so a model that answers the same
for all crops gets the worst figure, not the luck of the storage order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from unveil.evaluation.distances import BLOCK_BYTES, block_slices, distance_blocks
from unveil.evaluation.protocols import Labels
from unveil.progress import track
from unveil.records import Embedding

PRODUCT_ROWS = 64  # of a block, where memory allows: a product with 16 rows takes twice the time for each pair
MAX_BLOCK_BYTES = 4 * BLOCK_BYTES
FEW = 24  # positives of a query that are counted one by one; sorting the distances takes as long for more
Ranking = Callable[..., "Ranks"]  # as `rank_positives`
Pairs = tuple[np.ndarray, np.ndarray, np.ndarray]  # as `Labels.pairs` has them
Count = Callable[[Any, Pairs], tuple[np.ndarray, np.ndarray]]  # as `count_up_to`


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
    check_labels(query, gallery, labels=labels)
    blocks = ranked_blocks(len(query), len(gallery))
    distances = distance_blocks(query, gallery, blocks=blocks, reuse=True)
    return rank_blocks(track(distances, "ranking", total=len(blocks)), labels)


def ranked_blocks(queries: int, gallery: int) -> list[slice]:
    """Cut queries into the blocks that `rank_positives` takes: the last bits of a distance depend on them."""
    return block_slices(queries, gallery, limit=max(BLOCK_BYTES, min(4 * gallery * PRODUCT_ROWS, MAX_BLOCK_BYTES)))


def check_labels(query: Embedding, gallery: Embedding, *, labels: Labels) -> None:
    """Refuse labels of other crops.

    Raises:
        ValueError: they are for more or fewer.
    """
    if len(query) != len(labels) or len(gallery) != len(labels.gallery["person"]):
        raise ValueError(
            f"labels are for {len(labels)} queries and {len(labels.gallery['person'])} gallery crops, "
            f"embeddings for {len(query)} and {len(gallery)}"
        )


def count_up_to(distances: np.ndarray, pairs: Pairs) -> tuple[np.ndarray, np.ndarray]:
    """Count how many distances of a row are at most that of a positive, itself included.

    Args:
        distances: ``(B, G)``; rows with many positives are sorted in place.
        pairs: rows, crops and whether they are junk, of M pairs with P positives, ascending by row.

    Returns:
        Distances of the pairs ``(M,)``, and the counts of the positives ``(P,)``.
    """
    row, crop, junk = pairs
    values = distances[row, crop]
    wanted = values[~junk]
    counts = np.empty(len(wanted), np.int64)
    starts = np.searchsorted(row[~junk], np.arange(len(distances) + 1))
    for own, start, stop in zip(distances, starts[:-1], starts[1:], strict=True):
        if stop - start > FEW:
            own.sort()
            counts[start:stop] = np.searchsorted(own, wanted[start:stop], "right")
        else:
            counts[start:stop] = [np.count_nonzero(own <= value) for value in wanted[start:stop]]
    return values, counts


def rank_blocks(blocks: Iterable[tuple[slice, Any]], labels: Labels, *, count: Count = count_up_to) -> Ranks:
    """Rank every query's positives by distances that come in blocks of queries, in order.

    Args:
        blocks: slice of queries and its distances ``(B, G)``, which are overwritten.
        labels: labels of all queries and of the gallery.
        count: counts in blocks of their kind; by default in numpy's.
    """
    ranks, counts = [np.empty(0, np.int64)], [np.zeros(1, np.int64)]
    for rows, distances in blocks:
        row, _, junk = pairs = labels.pairs(rows)
        values, up_to = count(distances, pairs)
        ranks.append(_ranks(row, values, junk=junk, up_to=up_to))
        counts.append(np.bincount(row[~junk], minlength=len(distances)))
    return Ranks(np.concatenate(ranks), np.cumsum(np.concatenate(counts)))


def _ranks(row: np.ndarray, values: np.ndarray, *, junk: np.ndarray, up_to: np.ndarray) -> np.ndarray:
    """Ranks of the positives of a block, ascending within each row."""
    up_to = up_to[np.lexsort((values[~junk], row[~junk]))]
    by_distance = np.lexsort((values, row))
    values, positive = values[by_distance], ~junk[by_distance]
    ahead = [np.empty(0, np.int64)]
    for start, stop in pairwise(np.flatnonzero(np.diff(row, prepend=-1, append=-1)).tolist()):
        same = values[start:stop]
        mine = same[positive[start:stop]]
        ahead.append(np.searchsorted(same, mine, "right") - np.arange(1, len(mine) + 1))
    # Others at most this far are all crops at most this far less those of the same person, junk or not.
    return up_to - np.concatenate(ahead)
