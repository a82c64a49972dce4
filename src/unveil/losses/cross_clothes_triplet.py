"""The batch cross-clothes triplet loss of CRE + BSGA (eq. 7): a person in other clothes must be nearer than others."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from unveil.losses.triplet import Distance, batch_hard, pairwise_distance
from unveil.nn.global_batch import gather

WithoutPairs = Literal["zero", "batch_hard"]


def cross_clothes_triplet(
    features: Tensor,
    persons: Tensor,
    *,
    clothes: Tensor,
    margin: float = 0.3,
    distance: Distance = "cosine",
    reduce: Literal["mean", "sum"] = "mean",
    without_pairs: WithoutPairs = "zero",
) -> Tensor:
    """Return the loss over all triplets of an anchor, a crop of the same person in other clothes, and the nearest
    crop of another person in any clothes.

    An anchor without such a positive, or without a negative, contributes nothing.

    Args:
        features: ``(B, D)``.
        persons: ``(B,)`` identity codes.
        clothes: ``(B,)`` outfit codes; a crop with -1 is in an outfit of its own.
        margin: of the hinge.
        distance: between two features.
        reduce: "sum" as printed, or "mean" over the triplets of the batch.
        without_pairs: what a batch gives in which nobody has changed clothes: 0, or the batch-hard triplet loss.

    Returns:
        A scalar.
    """
    features, persons, clothes = gather(features, persons, clothes)
    clothes = torch.where(clothes < 0, -1 - torch.arange(len(clothes), device=clothes.device), clothes)
    distances = pairwise_distance(features, features, metric=distance)
    same = persons[:, None] == persons[None, :]
    triplets = same & (clothes[:, None] != clothes[None, :]) & ~same.all(dim=1, keepdim=True)
    if without_pairs == "batch_hard" and not triplets.any():
        return batch_hard(distances, persons, margin=margin, reduce=reduce)
    nearest = distances.masked_fill(same, torch.inf).amin(dim=1, keepdim=True)
    nearest = torch.where(same.all(dim=1, keepdim=True), 0.0, nearest)  # no infinity may reach the gradient
    hinges = F.relu(margin + distances - nearest) * triplets  # eq. 7
    return hinges.sum() / (triplets.sum().clamp(min=1) if reduce == "mean" else 1)
