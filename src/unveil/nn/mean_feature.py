"""Momentum-effect elimination of SSGR (eq. 6): a running mean of the training features, subtracted at test."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class MeanFeature(nn.Module):
    """Keeps the running mean of normalised vectors; a buffer without gradient that goes into checkpoints.

    The subtraction cancels in euclidean distances, so it must be followed by cosine ones. On vectors behind a batch
    norm the mean is about 0 and nothing happens; it belongs on pooled vectors.

    Args:
        channels: length of the vectors.
        beta: share of the old mean in the new one.
    """

    mean: Tensor

    def __init__(self, channels: int, beta: float = 0.9) -> None:
        super().__init__()
        self.beta = beta
        self.register_buffer("mean", torch.zeros(channels))

    @torch.no_grad()
    def update(self, vectors: Tensor) -> None:
        """Move the mean towards that of a training batch ``(B, C)``."""
        mean = F.normalize(vectors.detach().to(self.mean.dtype), dim=1).mean(dim=0)
        self.mean.lerp_(mean, 1 - self.beta)  # eq. 6: beta * mean + (1 - beta) * mean of the batch

    def forward(self, vectors: Tensor) -> Tensor:
        """Return the normalised vectors ``(B, C)`` minus the mean."""
        return F.normalize(vectors, dim=1) - self.mean
