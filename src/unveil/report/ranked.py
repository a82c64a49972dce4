"""Queries of a protocol with what was found for them, junk left out, ready to be drawn."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from unveil.evaluation.distances import distance_matrix
from unveil.evaluation.metrics import first_rank
from unveil.evaluation.protocols import labels, select
from unveil.evaluation.ranking import rank_positives
from unveil.records import Embedding, Protocol, Sample
from unveil.report.answer import Answer, Match, crop_of, same_person


def findable(samples: Sequence[Sample], protocol: Protocol) -> np.ndarray:
    """Return the numbers, ascending, of a protocol's queries whose person is in its gallery."""
    query, gallery = select(samples, protocol)
    row, _, junk = labels(samples, query, gallery=gallery, protocol=protocol).pairs(slice(0, len(query)))
    return np.unique(row[~junk])


def ranked_answer(
    embedding: Embedding,
    samples: Sequence[Sample],
    *,
    protocol: Protocol,
    number: int,
    top: int,
    title: str = "",
    text: str = "",
) -> Answer:
    """Return a query and the crops that are nearest to it.

    Args:
        embedding: of the samples, in order, as numpy arrays.
        samples: crops of queries and gallery.
        protocol: which of them take part, and what is junk.
        number: of the query, among those of the protocol.
        top: how many crops.
        title: after the protocol's name and before the query's key.
        text: what there is to see.
    """
    query, gallery = select(samples, protocol)
    row, crop, junk = labels(samples, query, gallery=gallery, protocol=protocol).pairs(slice(0, len(query)))
    distances = distance_matrix(embedding.select(query[number : number + 1]), embedding.select(gallery))[0]
    distances[crop[(row == number) & junk]] = np.inf
    asked = samples[query[number]]
    matches = []
    for g in np.argsort(distances, kind="stable")[:top]:
        if np.isfinite(distances[g]):
            found = samples[gallery[g]]
            matches.append(Match(crop_of(found), float(distances[g]), same_person([asked], found)))
    told = f"{protocol.name}, {title}" if title else protocol.name
    return Answer((crop_of(asked),), tuple(matches), f"{told}: {asked.key}", text)


def right_and_wrong(
    embedding: Embedding, samples: Sequence[Sample], *, protocol: Protocol, count: int = 6, top: int = 10
) -> list[Answer]:
    """Return as many queries that are answered right at once as such that are not, spread evenly over each.

    They are chosen by their place in the list alone, so they are no better and no worse than the others of their kind.

    Args:
        embedding: of the samples, in order, as numpy arrays.
        samples: crops of queries and gallery.
        protocol: which of them take part, and what is junk.
        count: queries in all; fewer where there are not as many.
        top: crops that are shown for each.
    """
    query, gallery = select(samples, protocol)
    told = labels(samples, query, gallery=gallery, protocol=protocol)
    first = first_rank(rank_positives(embedding.select(query), embedding.select(gallery), labels=told))
    answers = []
    for right, share in ((True, count - count // 2), (False, count // 2)):
        of_kind = np.flatnonzero(first == 1 if right else first > 1)
        for number in of_kind[(2 * np.arange(share) + 1) * len(of_kind) // (2 * share)] if len(of_kind) else ():
            title = "right at once" if right else f"first right at rank {first[number]:.0f}"
            answers.append(
                ranked_answer(embedding, samples, protocol=protocol, number=int(number), top=top, title=title)
            )
    return answers
