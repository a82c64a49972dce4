"""CBAM, the convolutional block attention module (Woo et al., ECCV 2018): a gate on channels, then one on positions."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class CBAM(nn.Module):
    """Channel attention from mean and maximum over positions, then spatial attention from both over channels.

    Args:
        channels: channels of the map.
        ratio: by how much the shared perceptron of the channel attention reduces them.
        kernel: size of the convolution of the spatial attention, odd.
    """

    def __init__(self, channels: int, ratio: int = 16, *, kernel: int = 7) -> None:
        super().__init__()
        hidden = max(channels // ratio, 1)
        self.channel = nn.Sequential(
            nn.Linear(channels, hidden, bias=False), nn.ReLU(), nn.Linear(hidden, channels, bias=False)
        )
        self.spatial = nn.Conv2d(2, 1, kernel, padding=kernel // 2, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return the gated map ``(B, C, h, w)``."""
        scores = self.channel(x.mean(dim=(2, 3))) + self.channel(x.amax(dim=(2, 3)))
        x = x * scores.sigmoid()[:, :, None, None]  # eq. 2
        pooled = torch.cat([x.mean(dim=1, keepdim=True), x.amax(dim=1, keepdim=True)], dim=1)
        return x * self.spatial(pooled).sigmoid()  # eq. 3
