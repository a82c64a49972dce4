"""Triplet losses over body parts: one distance averaged over the parts, or one loss a part.

The averaged form is the Part-Robust Triplet of OC4-ReID (eq. 4-5) and the part triplet of PAB-ReID (eq. 10-11): the
hardest pairs are mined after averaging, so that one part that two people share cannot decide.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from unveil.losses.triplet import batch_hard, pairwise_distance

PartTripletMode = Literal["averaged", "per_part"]


def part_triplet(
    parts: Tensor,
    labels: Tensor,
    margin: float,
    mode: PartTripletMode = "averaged",
    visibility: Tensor | None = None,
) -> Tensor:
    """Return the batch-hard triplet loss of part vectors, Euclidean and not normalised.

    Args:
        parts: ``(B, K, D)`` vectors of K parts.
        labels: ``(B,)`` identity codes.
        margin: of the hinge; 0 means the soft margin.
        mode: "averaged" mines on the distance averaged over the parts; "per_part" mines for each part and averages
            the K losses.
        visibility: ``(B, K)`` bool or {0, 1}; parts hidden in either crop of a pair do not count, and pairs that
            share no visible part are not mined. ``None``: all are visible.

    Returns:
        A scalar.
    """
    if parts.ndim != 3 or (visibility is not None and visibility.shape != parts.shape[:2]):
        seen = None if visibility is None else tuple(visibility.shape)
        raise ValueError(f"parts: expected (B, K, D) and visibility (B, K), got {tuple(parts.shape)} and {seen}")
    by_part = parts.transpose(0, 1)
    distances = pairwise_distance(by_part, by_part)  # (K, B, B)
    shared = torch.ones_like(distances, dtype=torch.bool)
    if visibility is not None:
        seen_by_part = visibility.bool().transpose(0, 1)
        shared = seen_by_part[:, :, None] & seen_by_part[:, None, :]
    if mode == "per_part":
        losses = [batch_hard(d, labels, margin, valid=v) for d, v in zip(distances, shared, strict=True)]
        return torch.stack(losses).mean()
    count = shared.sum(0)
    averaged = (distances * shared).sum(0) / count.clamp(min=1)
    return batch_hard(averaged, labels, margin, valid=count > 0)
