"""Separation loss of OCNet (eq. 1): the global feature and those of the stripes shall not say the same."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def separation(overall: Tensor, parts: Tensor) -> Tensor:
    """Return the sum over parts of ``1 + cos`` with the global vector, mean over the batch, in [0, 2 n].

    Args:
        overall: ``(B, D)``.
        parts: ``(B, n, D)``.
    """
    cosines = F.cosine_similarity(overall.unsqueeze(1), parts, dim=2)
    return (1 + cosines).sum(dim=1).mean()  # eq. 1
