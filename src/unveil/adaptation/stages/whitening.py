"""The last stage: vectors are whitened within people, told by tracklets and the surest pairs of them.

Hatch et al., Within-class covariance normalization for SVM-based speaker recognition, Interspeech 2006, with the pairs
of `unveil.adaptation.groups.surest_pairs` for classes. A wrong pair does little harm here: two who look alike in most
ways tell as well which directions cameras and poses move.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from unveil.adaptation.groups.pseudo_labels import Links, mean_of_units
from unveil.adaptation.groups.surest_pairs import group_surest, with_own_groups
from unveil.models.foreign.camera_centres import CameraCentres, take_centres, unit
from unveil.records import Embedding

log = logging.getLogger(__name__)
MIN_GROUPS = 10  # of two crops or more, below which a covariance says nothing


class VectorWhitening(NamedTuple):
    """What is done to vectors: ``(v - centre) @ matrix``.

    Args:
        centres: mean vectors of all crops and of each camera.
        matrix: ``(E, D, D)`` float32; the identity where too few crops belong together.
    """

    centres: CameraCentres
    matrix: np.ndarray


def take_whitening(
    embedding: Embedding,
    cameras: Sequence[str | None],
    *,
    units: np.ndarray,
    links: Links,
    pairs: float,
    shrinkage: float,
    prior: int,
) -> VectorWhitening:
    """Measure mean vectors of cameras, and how crops of one person differ.

    Args:
        embedding: of N crops, numpy.
        cameras: label of each crop's camera, ``None`` where it is unknown.
        units: ``(N,)`` numbers of tracklets, or of crops without one.
        links: what is known of units.
        pairs: surest pairs to join, for each unit that can be.
        shrinkage: share of a multiple of the identity in each covariance, in (0, 1].
        prior: crops whose weight the mean of all cameras has in that of one.
    """
    directions = embedding.metric == "cosine"
    embedding = dataclasses.replace(embedding, vectors=unit(embedding.vectors)) if directions else embedding
    centres = take_centres(embedding, cameras, prior=prior)
    codes, unit_of = np.unique(units, return_inverse=True)
    means = mean_of_units(embedding, unit_of)
    labels = {camera: i for i, camera in enumerate(centres.cameras)}
    camera_of = np.full(len(codes), -1)
    camera_of[unit_of] = [-1 if camera is None else labels[camera] for camera in cameras]
    found = group_surest(means, camera_of, links=links.among(codes), pairs=pairs)
    groups = with_own_groups(found.labels, np.bincount(unit_of) > 1)
    centred = embedding.vectors - np.stack([centres.of(camera) for camera in cameras])
    vectors = unit(centred) if directions else centred
    count = int(groups.max(initial=-1)) + 1
    if count < MIN_GROUPS:
        log.warning("%d tracklets or pairs of crops are too few to whiten vectors by: they are centred alone", count)
        parts, width = vectors.shape[1:]
        return VectorWhitening(centres, np.tile(np.eye(width, dtype=np.float32), (parts, 1, 1)))
    matrix = within_group_whitening(
        dataclasses.replace(embedding, vectors=vectors), groups[unit_of], shrinkage=shrinkage
    )
    return VectorWhitening(centres, matrix)


def within_group_whitening(embedding: Embedding, groups: np.ndarray, *, shrinkage: float) -> np.ndarray:
    """Return the inverse square roots of the covariances within groups, each group counting as one.

    Args:
        embedding: of N crops, numpy; of each vector the crops that show it count.
        groups: ``(N,)`` int64, -1 for crops of no group.
        shrinkage: share of a multiple of the identity, in (0, 1]: a few hundred pairs say little of most directions.

    Returns:
        ``(E, D, D)`` float32, symmetric; the mean of the eigenvalues' logarithms is 0.
    """
    count = int(groups.max(initial=-1)) + 1
    parts, width = embedding.vectors.shape[1:]
    inside = groups >= 0
    own = groups[inside]
    maps = np.empty((parts, width, width), np.float32)
    for part in range(parts):
        shown = embedding.visibility[inside, part].astype(np.float64)
        vectors = embedding.vectors[inside, part].astype(np.float64)
        total = np.bincount(own, shown, minlength=count)
        means = np.zeros((count, width))
        np.add.at(means, own, vectors * shown[:, None])
        means /= np.maximum(total, 1e-12)[:, None]
        share = shown / np.maximum(total, 1e-12)[own]
        apart = (vectors - means[own]) * np.sqrt(share)[:, None]
        covariance = apart.T @ apart
        size = np.trace(covariance)
        identity = np.eye(width) / width
        mixed = (1 - shrinkage) * covariance / size + shrinkage * identity if size > 0 else identity
        values, directions = np.linalg.eigh(mixed)
        scale = np.exp(-0.5 * (np.log(values) - np.log(values).mean()))
        maps[part] = (directions * scale) @ directions.T
    return maps
