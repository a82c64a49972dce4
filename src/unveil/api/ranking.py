"""Embeddings in a program: distances between crops, and exact search among those in memory."""

from __future__ import annotations

import numpy as np

from unveil.evaluation.distances import distance_matrix
from unveil.gallery.records import Mode
from unveil.gallery.search.ranked_lists import RankedList, rank
from unveil.models.embeddings import EmbeddedCrops, same_model


def compare(query: EmbeddedCrops, gallery: EmbeddedCrops) -> np.ndarray:
    """Return the distance of every query crop to every gallery crop; smaller is more alike.

    It is the mean of the per-vector distances, weighted by what both crops show. Its scale depends on the model: for
    probabilities, calibrate a gallery.

    Args:
        query: Q crops, see `unveil.embed`.
        gallery: G crops, embedded by the same model.

    Returns:
        ``(Q, G)`` float32.

    Raises:
        CheckpointError: they were embedded by different models.
    """
    same_model(query, gallery)
    return distance_matrix(query.embedding, gallery.embedding)


def search(
    query: EmbeddedCrops,
    gallery: EmbeddedCrops,
    *,
    top: int = 10,
    one_person: bool = False,
    negatives: EmbeddedCrops | None = None,
    mode: Mode = "same",
) -> list[RankedList]:
    """Return the gallery crops that are nearest to each query crop, exactly.

    Args:
        query: crops to look for, see `unveil.embed`; a file among them is never an answer to itself.
        gallery: crops to look in, embedded by the same model.
        top: how many at most, at least 1.
        one_person: all query crops show one person: return one list for all of them.
        negatives: crops of people who are not meant; what resembles them more than the query moves away.
        mode: "same" clothes, or "changed" if the clothes may differ: parts that clothes cover then weigh less.

    Returns:
        A list for each query crop, nearest first, with the distance of each part; one list with ``one_person``.

    Raises:
        CheckpointError: they were embedded by different models.
    """
    for other in (gallery, negatives):
        if other is not None:
            same_model(query, other)
    return rank(
        query,
        gallery,
        top=top,
        one_person=one_person,
        negatives=None if negatives is None else negatives.embedding,
        mode=mode,
    )
