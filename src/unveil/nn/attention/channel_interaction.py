"""Channels helped by similar ones: channel interaction-and-aggregation (CIA) of IANet (Hou et al., CVPR 2019).

The formula, ``out = x + BN(softmax(x x^T) x)`` of the map as a matrix with a row a channel and with a batch norm that
starts at 0, is that of the authors' published code (blue-blue272/ImgReID-IAnet, commit e104e28, models/IA.py).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class ChannelInteraction(nn.Module):
    """Every channel gets the average of all channels, weighted by a softmax of their inner products with it.

    What is added goes through a batch norm whose weight starts at 0, so that the block starts as the identity.

    Args:
        channels: channels of the map.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels)
        nn.init.zeros_(self.norm.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Return the map ``(B, C, h, w)``."""
        # Inner products over all positions are large: half precision would decide the softmax by rounding.
        with torch.autocast(x.device.type, enabled=False):
            flat = x.flatten(2).to(torch.promote_types(x.dtype, torch.float32))
            relations = (flat @ flat.transpose(1, 2)).softmax(dim=2)
            aggregated = (relations @ flat).view(x.shape).to(x.dtype)
        return x + self.norm(aggregated)
