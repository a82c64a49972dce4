"""Momentum-effect elimination of SSGR (eq. 6): a running mean of the training features, subtracted at test."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unveil.nn.global_batch import gather


class MeanFeature(nn.Module):
    """Keeps the running mean of normalised vectors; a buffer without gradient that goes into checkpoints.

    The subtraction cancels in euclidean distances, so it must be followed by cosine ones. On vectors behind a batch
    norm the mean is about 0 and nothing happens; it belongs on pooled vectors.

    Args:
        channels: length of the vectors.
        beta: share of the old mean in the new one, in [0, 1).
        betas: further shares whose means are kept too, so that one training serves to compare them.
    """

    mean: Tensor

    def __init__(self, channels: int, beta: float = 0.9, *, betas: Sequence[float] = ()) -> None:
        super().__init__()
        self.betas = sorted({beta, *betas})
        self.chosen = self.betas.index(beta)
        means = torch.zeros(len(self.betas), channels)
        self.register_buffer("mean", means if len(self.betas) > 1 else means[0])  # (K, C), or (C,) of a single one

    @torch.no_grad()
    def update(self, vectors: Tensor) -> None:
        """Move the means towards that of a training batch ``(B, C)``."""
        (vectors,) = gather(vectors)
        mean = F.normalize(vectors.detach().to(self.mean.dtype), dim=1).mean(dim=0)
        for row, beta in zip(self.mean.view(len(self.betas), -1), self.betas, strict=True):
            row.lerp_(mean, 1 - beta)  # eq. 6: beta * mean + (1 - beta) * mean of the batch

    def forward(self, vectors: Tensor) -> Tensor:
        """Return the normalised vectors ``(B, C)`` minus the mean of ``beta``."""
        return F.normalize(vectors, dim=1) - self.mean.view(len(self.betas), -1)[self.chosen]
