"""The disentangled non-local block (Yin et al., ECCV 2020) as SSGR uses it (eq. 1)."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class DisentangledNonLocal(nn.Module):
    """Residual attention that splits into a whitened pairwise term and a unary term.

    SSGR prints its eq. 1 with f_i where f_j is meant, in the weights and in the output; this is the corrected one.
    Queries and keys are centred over the positions of their own image, without scaling or temperature. Convolutions
    have no bias: it would cancel in both softmaxes.

    Args:
        channels: channels of the map.
        qk_ratio: channels divided by the width of queries and keys.
        gamma: whether a learnt scalar, 0 at first, multiplies the pairwise term.
    """

    def __init__(self, channels: int, qk_ratio: int = 1, *, gamma: bool = True) -> None:
        super().__init__()
        width = max(channels // qk_ratio, 1)
        self.query = nn.Conv2d(channels, width, 1, bias=False)
        self.key = nn.Conv2d(channels, width, 1, bias=False)
        self.value = nn.Conv2d(channels, channels, 1, bias=False)
        self.mask = nn.Conv2d(channels, 1, 1, bias=False)
        for conv in (self.query, self.key, self.value, self.mask):
            nn.init.normal_(conv.weight, 0.0, 0.01)
        self.gamma = nn.Parameter(torch.zeros(1)) if gamma else None

    def forward(self, x: Tensor) -> Tensor:
        """Return a map of the shape of ``x``, ``(B, C, h, w)``."""
        query, key, value, mask = (conv(x).flatten(2) for conv in (self.query, self.key, self.value, self.mask))
        query = query - query.mean(dim=2, keepdim=True)
        key = key - key.mean(dim=2, keepdim=True)
        pairwise = (query.transpose(1, 2) @ key).softmax(dim=2)  # eq. 1, first term: (B, i, j), sums to 1 over j
        y = value @ pairwise.to(value.dtype).transpose(1, 2)
        if self.gamma is not None:
            y = self.gamma * y
        unary = mask.softmax(dim=2)  # eq. 1, second term: one weight a position j, the same for every i
        y = y + value @ unary.to(value.dtype).transpose(1, 2)
        return x + y.unflatten(2, x.shape[2:])

    def no_weight_decay(self) -> list[nn.Parameter]:
        """Return the weights of queries and keys, which train without weight decay."""
        return [*self.query.parameters(), *self.key.parameters()]
