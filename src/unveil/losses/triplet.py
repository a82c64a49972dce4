"""Triplet loss with the hardest positive and negative of the batch (Hermans et al., arXiv:1703.07737, eq. 5)."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from unveil.nn.global_batch import gather

Distance = Literal["euclidean", "cosine", "euclidean_normed"]


def pairwise_distance(x: Tensor, y: Tensor, *, metric: Distance = "euclidean") -> Tensor:
    """Return all distances between two sets of vectors, in at least single precision.

    Args:
        x: ``(..., N, D)``.
        y: ``(..., M, D)``.
        metric: "euclidean", "cosine" (1 - cos) or "euclidean_normed" (euclidean between vectors of length 1).

    Returns:
        ``(..., N, M)``.
    """
    # Differences of squares lose too many digits in half precision.
    with torch.autocast(x.device.type, enabled=False):
        x, y = (v.to(torch.promote_types(v.dtype, torch.float32)) for v in (x, y))
        if metric != "euclidean":
            x, y = F.normalize(x, dim=-1), F.normalize(y, dim=-1)
        dots = x @ y.transpose(-1, -2)
        if metric == "cosine":
            return 1 - dots
        squares = x.square().sum(-1).unsqueeze(-1) + y.square().sum(-1).unsqueeze(-2) - 2 * dots
        return squares.clamp(min=1e-12).sqrt()


def batch_hard(
    distances: Tensor,
    labels: Tensor,
    *,
    margin: float,
    reduce: Literal["mean", "sum"] = "mean",
    valid: Tensor | None = None,
) -> Tensor:
    """Return the batch-hard triplet loss of a matrix of distances.

    Every crop is an anchor once, against its farthest positive and its nearest negative. A crop is not its own
    positive; an anchor without a positive or without a negative is left out, and without any anchor the loss is 0.

    Args:
        distances: ``(B, B)``.
        labels: ``(B,)`` identity codes.
        margin: of the hinge ``max(0, d_ap - d_an + margin)``; 0 means the soft margin ``log(1 + exp(d_ap - d_an))``.
        reduce: "mean" or "sum" over anchors.
        valid: ``(B, B)`` bool, pairs that may be mined; all for ``None``.

    Returns:
        A scalar.
    """
    if distances.shape != (len(labels), len(labels)):
        raise ValueError(f"distances: expected ({len(labels)}, {len(labels)}), got {tuple(distances.shape)}")
    same = labels[:, None] == labels[None, :]
    negative = ~same
    positive = same & ~torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    if valid is not None:
        positive, negative = positive & valid, negative & valid
    farthest = distances.masked_fill(~positive, -torch.inf).amax(dim=1)
    nearest = distances.masked_fill(~negative, torch.inf).amin(dim=1)
    anchors = positive.any(dim=1) & negative.any(dim=1)
    # Zeroed before the hinge, so that no infinity reaches the gradient.
    gap = torch.where(anchors, farthest, 0.0) - torch.where(anchors, nearest, 0.0)
    per_anchor = (F.softplus(gap) if margin == 0 else F.relu(gap + margin)) * anchors
    return per_anchor.sum() / (anchors.sum().clamp(min=1) if reduce == "mean" else 1)


def batch_hard_triplet(
    features: Tensor,
    labels: Tensor,
    *,
    margin: float = 0.3,
    distance: Distance = "euclidean",
    reduce: Literal["mean", "sum"] = "mean",
) -> Tensor:
    """Return the batch-hard triplet loss of features ``(B, D)``; see `batch_hard`. In `global_batch` B counts all."""
    features, labels = gather(features, labels)
    return batch_hard(pairwise_distance(features, features, metric=distance), labels, margin=margin, reduce=reduce)
