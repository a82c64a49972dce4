"""Pseudo-labels for people of whom there are few tracklets each: the surest pairs are taken for one person.

Where a person has one or two crops in a camera, most neighbours of a crop are other people seen by the same camera.
So the mean of its camera is taken from each vector, and a distance counts beside those to the nearest units of the
other one's camera, both ways (cross-domain local scaling: Conneau et al., Word translation without parallel data, ICLR
2018, eq. 2): a unit that is near to everybody is no neighbour, and one camera is as near as another. What is near but
not sure is left undecided: such two are neither joined nor pushed apart.
"""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import numpy as np

from unveil.adaptation.groups.pseudo_labels import Links, joined_along
from unveil.evaluation.distances import distance_blocks
from unveil.models.foreign.camera_centres import take_centres, unit
from unveil.records import Embedding

NEAREST = 10  # units of a camera that tell how near its units are
KEPT = 10  # candidates of each unit
PRIOR = 20  # units whose weight the mean of all cameras has in that of one


class Groups(NamedTuple):
    """Groups of units.

    Args:
        labels: ``(U,)`` int64 groups 0 .. C-1; -1 for units that are alone.
        undecided: ``(M, 2)`` pairs of units that may be one person.
    """

    labels: np.ndarray
    undecided: np.ndarray


def with_own_groups(labels: np.ndarray, tracklets: np.ndarray) -> np.ndarray:
    """Return group labels ``(U,)`` in which each tracklet ``(U,)`` bool without a group is one of its own."""
    alone = np.flatnonzero(tracklets & (labels < 0))
    found = labels.copy()
    found[alone] = int(labels.max(initial=-1)) + 1 + np.arange(len(alone))
    return found


def group_surest(units: Embedding, cameras: np.ndarray, *, links: Links, pairs: float) -> Groups:
    """Join the surest pairs of units; two that cannot be one person are never in one group.

    Where a place is seen by several cameras, units of two cameras alone are joined, and each with one unit of a camera:
    fewer pairs are wrong, and what they tell is the way from one camera to another. Elsewhere any two are.

    Args:
        units: ``(U, E, D)`` numpy embedding; visibility decides which vectors count.
        cameras: ``(U,)`` codes, -1 for unknown, which counts as one camera.
        links: what is known; units of two places are not joined.
        pairs: how many to join for each unit that can be, beside those that must be one person.
    """
    near = surest_pairs(centred(units, cameras), cameras, places=links.places)
    several = seen_by_several(cameras, links)
    told = np.sort(np.concatenate([links.must, links.cannot]), axis=1)
    near = near[~np.isin(near @ [len(units), 1], told @ [len(units), 1])]
    count = round(pairs * (int(several.sum()) or len(units)))
    joined = one_of_each_camera(near, cameras)[:count] if several.any() else near[:count]
    groups = joined_along(np.arange(len(units)), joined, links=links)
    labels = np.full(len(units), -1)
    for number, group in enumerate(group for group in groups if len(group) > 1):
        labels[group] = number
    return Groups(labels, near[~np.isin(near @ [len(units), 1], joined @ [len(units), 1])])


def surest_pairs(units: Embedding, cameras: np.ndarray, *, places: np.ndarray | None = None) -> np.ndarray:
    """Return pairs of units that are nearer than the neighbours of both, ``(M, 2)`` int64, the surest first.

    Args:
        units: ``(U, E, D)`` numpy embedding.
        cameras: ``(U,)`` codes.
        places: ``(U,)`` codes; units of two places are no pair.
    """
    known, camera_of = np.unique(cameras, return_inverse=True)
    members = [np.flatnonzero(camera_of == c) for c in range(len(known))]
    around = np.zeros((len(units), len(known)), np.float32)
    for rows, block in distance_blocks(units, units):
        _hide_self(block, rows)
        for c, own in enumerate(members):
            near = np.partition(block[:, own], min(NEAREST, len(own)) - 1, axis=1)[:, :NEAREST]
            shown = np.isfinite(near)
            around[rows, c] = np.where(shown, near, 0).sum(axis=1) / np.maximum(shown.sum(axis=1), 1)
    found: list[np.ndarray] = []
    sureness: list[np.ndarray] = []
    for rows, block in distance_blocks(units, units):
        _hide_self(block, rows)
        own = around[rows][:, camera_of] + around[:, camera_of[rows]].T - 2 * block
        if places is not None:
            own[places[rows, None] != places] = -np.inf
        best = np.argpartition(-own, min(KEPT, len(units) - 1) - 1, axis=1)[:, :KEPT]
        value = np.take_along_axis(own, best, axis=1)
        row, column = np.nonzero(value > 0)
        found.append(np.stack([np.arange(len(units))[rows][row], best[row, column]], axis=1))
        sureness.append(value[row, column])
    pairs, values = np.sort(np.concatenate(found), axis=1), np.concatenate(sureness)
    order = np.lexsort((pairs[:, 1], pairs[:, 0], -values))
    pairs = pairs[order]
    _, first = np.unique(pairs[:, 0] * len(units) + pairs[:, 1], return_index=True)
    return pairs[np.sort(first)].astype(np.int64)


def seen_by_several(cameras: np.ndarray, links: Links) -> np.ndarray:
    """Return ``(U,)`` bool: another camera than the unit's own sees its place.

    Args:
        cameras: ``(U,)`` codes.
        links: what is known of units.
    """
    places = links.places_of(len(cameras))
    watching = np.unique(np.stack([places, cameras], axis=1), axis=0)[:, 0]
    return np.isin(places, watching[:-1][watching[1:] == watching[:-1]])


def one_of_each_camera(pairs: np.ndarray, cameras: np.ndarray) -> np.ndarray:
    """Return the pairs ``(M, 2)`` of two cameras without those of which a unit has a surer one in the same camera.

    Args:
        pairs: the surest first.
        cameras: ``(U,)`` codes.
    """
    taken: set[tuple[int, int]] = set()
    kept: list[int] = []
    for row, (a, b) in enumerate(pairs.tolist()):
        both = {(a, int(cameras[b])), (b, int(cameras[a]))}
        if cameras[a] != cameras[b] and not both & taken:
            kept.append(row)
        taken |= both
    return pairs[kept]


def centred(units: Embedding, cameras: np.ndarray) -> Embedding:
    """Return units whose vectors lack the mean of their camera."""
    labels = [str(code) for code in cameras]
    centres = take_centres(units, labels, prior=PRIOR)
    means = np.stack([centres.of(label) for label in labels])
    vectors = units.vectors - means
    return dataclasses.replace(units, vectors=unit(vectors) if units.metric == "cosine" else vectors)


def _hide_self(block: np.ndarray, rows: slice) -> None:
    block[np.arange(len(block)), np.arange(rows.start, rows.start + len(block))] = np.inf
