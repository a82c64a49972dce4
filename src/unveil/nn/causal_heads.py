"""The multi-head classifier of Tang et al. (NeurIPS 2020) with which SSGR learns identities."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class CausalHeads(nn.Module):
    """Classifier that compares equal chunks of vector and weights, each by a damped cosine.

    Args:
        channels: length of the input vector, a multiple of ``heads``.
        classes: number of identities.
        heads: number of chunks.
        tau: scale of all heads together.
        gamma: damping, added to the length of the weights.
    """

    def __init__(
        self, channels: int, classes: int, *, heads: int = 2, tau: float = 16.0, gamma: float = 1 / 32
    ) -> None:
        super().__init__()
        if heads < 1 or channels % heads:
            raise ValueError(f"heads: expected a divisor of the {channels} channels, got {heads}")
        self.heads, self.tau, self.gamma = heads, tau, gamma
        self.weight = nn.Parameter(torch.empty(classes, channels).uniform_(-(channels**-0.5), channels**-0.5))

    def forward(self, vectors: Tensor) -> Tensor:
        """Return the logits ``(heads, B, classes)`` of vectors ``(B, channels)``."""
        x = F.normalize(vectors.unflatten(1, (self.heads, -1)), dim=2).transpose(0, 1)
        w = self.weight.unflatten(1, (self.heads, -1)).transpose(0, 1)
        w = w / (w.norm(dim=2, keepdim=True) + self.gamma)
        return self.tau / self.heads * (x @ w.transpose(1, 2))  # their sum is the one logit of the paper
