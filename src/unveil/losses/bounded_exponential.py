"""Bounded exponential distance loss of SSGR (eq. 3)."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from unveil.losses.triplet import pairwise_distance
from unveil.nn.global_batch import gather

BedReduce = Literal["balanced", "all"]


def bounded_exponential(
    features: Tensor,
    labels: Tensor,
    *,
    alpha: float = 0.3,
    reduce: BedReduce = "balanced",
    normalize: bool = True,
) -> Tensor:
    """Return the loss over all ordered pairs of different crops.

    Pairs, reduction and length of the vectors are not said in the paper. Without ``normalize``, distances of ten and
    more make ``exp(-alpha d)`` vanish, and with it the gradient; `saturated_share` tells.

    Args:
        features: ``(B, D)`` pooled vectors.
        labels: ``(B,)`` identity codes.
        alpha: how fast the loss is bounded.
        reduce: "balanced": mean over positive pairs plus mean over negative pairs; "all": one mean over all pairs.
        normalize: whether vectors are brought to length 1 first.

    Returns:
        A scalar; a kind of pair that the batch lacks counts 0.
    """
    features, labels = gather(features, labels)
    distances = pairwise_distance(features, features, metric="euclidean_normed" if normalize else "euclidean")
    same = labels[:, None] == labels[None, :]
    apart = ~torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    near = torch.exp(-alpha * distances)
    per_pair = torch.where(same, 1 - near, near)  # eq. 3
    if reduce == "all":
        return _mean(per_pair, apart)
    return _mean(per_pair, same & apart) + _mean(per_pair, ~same)


@torch.no_grad()
def saturated_share(features: Tensor, alpha: float = 0.3, *, normalize: bool = True, below: float = 0.01) -> Tensor:
    """Return the share of pairs whose ``exp(-alpha d)`` is below a bound, so that they hardly have a gradient."""
    (features,) = gather(features)
    distances = pairwise_distance(features, features, metric="euclidean_normed" if normalize else "euclidean")
    apart = ~torch.eye(len(features), dtype=torch.bool, device=features.device)
    return _mean((torch.exp(-alpha * distances) < below).to(distances.dtype), apart)


def _mean(values: Tensor, chosen: Tensor) -> Tensor:
    return (values * chosen).sum() / chosen.sum().clamp(min=1)
