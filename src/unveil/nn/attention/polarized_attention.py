"""Polarized self-attention (Liu et al., arXiv:2107.00782), its parallel layout: a gate on channels plus one on space.

Each gate collapses one direction completely and keeps the other at half or full resolution. The layout (1x1
convolutions to C/2 and 1, softmax over the collapsed direction, layer norm and sigmoid for channels, mean and sigmoid
for positions, the sum of both) is what descriptions and public implementations of the paper agree on; about biases of
the convolutions they do not agree, and here they have them.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class PolarizedAttention(nn.Module):
    """The sum of the map gated by channel and the map gated by position.

    Args:
        channels: channels of the map, at least 2.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        half = channels // 2
        self.channel_query = nn.Conv2d(channels, 1, 1)
        self.channel_value = nn.Conv2d(channels, half, 1)
        self.channel_out = nn.Sequential(nn.Linear(half, channels), nn.LayerNorm(channels))
        self.spatial_query = nn.Conv2d(channels, half, 1)
        self.spatial_value = nn.Conv2d(channels, half, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return the map ``(B, C, h, w)``."""
        where = self.channel_query(x).flatten(1).softmax(dim=1)  # over positions
        pooled = torch.einsum("bcn,bn->bc", self.channel_value(x).flatten(2), where)
        by_channel = self.channel_out(pooled).sigmoid()[:, :, None, None]
        which = self.spatial_query(x).mean(dim=(2, 3)).softmax(dim=1)  # over channels
        by_position = torch.einsum("bchw,bc->bhw", self.spatial_value(x), which).sigmoid()[:, None]
        return x * by_channel + x * by_position
