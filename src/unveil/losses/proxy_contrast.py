"""Contrast of crops with the proxies of clusters: pseudo-labels train a network without a classifier."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def cluster_contrast(
    vectors: Tensor,
    labels: Tensor,
    *,
    centroids: Tensor,
    temperature: float,
    undecided: Tensor | None = None,
) -> Tensor:
    """Return the cross-entropy of crops against the centroids of all clusters (Dai et al., Cluster Contrast, eq. 2).

    Args:
        vectors: ``(B, D)`` of length 1.
        labels: ``(B,)`` in ``[0, C)``.
        centroids: ``(C, D)`` of length 1, without gradient.
        temperature: tau.
        undecided: ``(C, C)`` bool, symmetric, False on its diagonal: two clusters that may be one person, of which
            neither is contrasted with the other (ours).
    """
    likeness = vectors @ centroids.T / temperature
    if undecided is not None:
        likeness = likeness.masked_fill(undecided[labels], -torch.inf)
    return F.cross_entropy(likeness, labels)


def camera_proxy_contrast(
    vectors: Tensor,
    labels: Tensor,
    *,
    proxies: Tensor,
    owners: Tensor,
    temperature: float,
    hard: int = 50,
    undecided: Tensor | None = None,
) -> Tensor:
    """Return the contrast with the proxies of a crop's cluster in all cameras (Wang et al., CAP, AAAI 2021, eq. 6).

    A cluster has one proxy for each camera that saw it; those of its own are all positives, so that cameras move
    together; of the others the nearest are negatives.

    Args:
        vectors: ``(B, D)`` of length 1.
        labels: ``(B,)`` clusters of the crops.
        proxies: ``(P, D)`` of length 1, without gradient.
        owners: ``(P,)`` the cluster of each proxy; every label has one.
        temperature: tau.
        hard: nearest proxies of other clusters that count.
        undecided: ``(C, C)`` bool, as for `cluster_contrast`.
    """
    likeness = vectors @ proxies.T / temperature
    own = labels[:, None] == owners[None]
    apart = own if undecided is None else own | undecided[labels][:, owners]
    others = likeness.masked_fill(apart, -torch.inf).topk(min(hard, proxies.shape[0]), dim=1).values
    positives = likeness.masked_fill(~own, -torch.inf)
    # Where no other cluster is left, the whole sum is that of the positives.
    total = torch.logsumexp(torch.cat([positives, others], dim=1), dim=1, keepdim=True)
    return ((total - likeness) * own).sum(1).div(own.sum(1)).mean()
