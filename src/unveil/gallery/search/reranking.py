"""k-reciprocal re-ranking of the shortlist of a search (Zhong et al., CVPR 2017; `unveil.evaluation.rerank`).

Rows that have the same neighbours as the query come forward, so that one good match brings others of the same person
along. It costs the distances among all rows of the shortlist.
"""

from __future__ import annotations

import numpy as np

from unveil.evaluation.rerank import RerankSettings, rerank_blocks
from unveil.gallery.records import Mode
from unveil.gallery.scoring.ranking import in_mode, rank
from unveil.records import Embedding

SETTINGS = RerankSettings()


def reranked_order(positives: Embedding, gallery: Embedding, *, negatives: Embedding | None, mode: Mode) -> np.ndarray:
    """Return the rows of a shortlist in re-ranked order, ``(G,)`` int64; equal ones by distance.

    Args:
        positives: ``(Q, E, D)`` numpy embedding of one person; re-ranked distances are averaged over the crops.
        gallery: ``(G, E, D)`` numpy embedding of the shortlist.
        negatives: crops of other people; what they add to a distance is added here too.
        mode: whether the clothes are the same or may have changed.
    """
    one = np.zeros(len(positives), np.int64)
    plain = _by_row(*rank(positives, gallery, top=len(gallery), groups=one, negatives=None, mode=mode))
    total = np.zeros(len(gallery))
    for _, distances in rerank_blocks(
        in_mode(positives.numpy(), mode), in_mode(gallery.numpy(), mode), settings=SETTINGS
    ):
        total += distances.sum(axis=0)
    total /= len(positives)
    if negatives is not None:
        total += (
            _by_row(*rank(positives, gallery, top=len(gallery), groups=one, negatives=negatives, mode=mode)) - plain
        )
    # What shares no visible part with the query has no distance, and comes last.
    return np.lexsort((plain, np.where(np.isfinite(total), total, np.inf)))


def _by_row(found: np.ndarray, distances: np.ndarray) -> np.ndarray:
    out = np.full(len(found[0]), np.inf)
    out[found[0]] = distances[0]
    return out
