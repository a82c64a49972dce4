"""The Kullback-Leibler divergence in both directions, by which AIM holds its two clothes classifiers together."""

from __future__ import annotations

from typing import Literal

import torch.nn.functional as F
from torch import Tensor

from unveil.nn.global_batch import gather


def symmetric_divergence(first: Tensor, second: Tensor, *, reduce: Literal["sum", "mean"]) -> Tensor:
    """Return ``KL(p || q) + KL(q || p)`` of the softmaxes p, q of two sets of logits.

    Args:
        first: ``(B, K)``.
        second: ``(B, K)``.
        reduce: "sum" or "mean" over the batch.

    Returns:
        A scalar, at least 0.
    """
    if first.shape != second.shape:
        raise ValueError(f"logits: expected two of one shape, got {tuple(first.shape)} and {tuple(second.shape)}")
    first, second = gather(first, second)
    log_p, log_q = first.log_softmax(dim=1), second.log_softmax(dim=1)
    both = F.kl_div(log_q, log_p, reduction="sum", log_target=True)
    both = both + F.kl_div(log_p, log_q, reduction="sum", log_target=True)
    return both / (len(first) if reduce == "mean" else 1)
