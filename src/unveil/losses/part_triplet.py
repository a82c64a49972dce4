"""Triplet losses over part vectors: Part-Robust Triplet of OC4-ReID (eq. 4), part triplet of PAB-ReID (eq. 10-11)."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from unveil.losses.triplet import Distance, batch_hard, pairwise_distance
from unveil.nn.global_batch import gather

PartTripletMode = Literal["averaged", "per_part"]


def part_triplet(
    parts: Tensor,
    labels: Tensor,
    *,
    margin: float,
    mode: PartTripletMode = "averaged",
    visibility: Tensor | None = None,
    distance: Distance = "euclidean",
) -> Tensor:
    """Return the batch-hard triplet loss of part vectors, mean over anchors.

    "averaged" first averages the distances of the parts, then mines: a part that an occluder covers cannot
    choose the triplet by itself. "per_part" mines every part alone and averages the losses.

    Args:
        parts: ``(B, K, D)``, K vectors a crop.
        labels: ``(B,)`` identity codes.
        margin: of the hinge; 0 means the soft margin (see `batch_hard`).
        mode: "averaged" or "per_part".
        visibility: ``(B, K)`` in [0, 1], or ``None``: all visible. Only parts that two crops share count in their
            distance, weighted by the product; pairs that share none are not mined.
        distance: between two vectors of a part; the papers' is euclidean.

    Returns:
        A scalar; 0 when no anchor has both a positive and a negative.
    """
    if parts.ndim != 3 or len(parts) != len(labels):
        raise ValueError(f"parts: expected ({len(labels)}, K, D), got {tuple(parts.shape)}")
    if visibility is not None and visibility.shape != parts.shape[:2]:
        raise ValueError(f"visibility: expected {tuple(parts.shape[:2])}, got {tuple(visibility.shape)}")
    if visibility is None:
        parts, labels = gather(parts, labels)
    else:
        parts, labels, visibility = gather(parts, labels, visibility)
    by_part = parts.transpose(0, 1)
    distances = pairwise_distance(by_part, by_part, metric=distance)
    shared = torch.ones_like(distances) if visibility is None else shared_visibility(visibility, distances.dtype)
    if mode == "averaged":
        averaged, seen = averaged_distance(distances, shared)
        return batch_hard(averaged, labels, margin=margin, valid=seen)
    losses = [batch_hard(d, labels, margin=margin, valid=s > 0) for d, s in zip(distances, shared, strict=True)]
    return torch.stack(losses).mean()


def shared_visibility(visibility: Tensor, dtype: torch.dtype) -> Tensor:
    """Return ``(K, B, B)``, for every part the product of the visibilities ``(B, K)`` of two crops."""
    by_part = visibility.to(dtype).T
    return by_part[:, :, None] * by_part[:, None, :]


def averaged_distance(distances: Tensor, shared: Tensor) -> tuple[Tensor, Tensor]:
    """Average distances over the parts that two crops share (OC4-ReID eq. 4; PAB-ReID eq. 10).

    Args:
        distances: ``(K, ...)``, one distance a part.
        shared: ``(K, ...)`` weights >= 0.

    Returns:
        The averages ``(...)`` and where there was anything to average, bool ``(...)``.
    """
    total = shared.sum(dim=0)
    seen = total > 0
    return (distances * shared).sum(dim=0) / torch.where(seen, total, 1.0), seen
