"""Gated convolution (Yu et al., ICCV 2019): features times a learnt soft mask."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


class GatedConv(nn.Module):
    """``ELU(conv(x)) * sigmoid(conv'(x))`` with two 3x3 convolutions.

    Args:
        channels: channels of input and output.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.feature = nn.Conv2d(channels, channels, 3, padding=1)
        self.gate = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Return a map of the shape of ``x``, ``(B, C, h, w)``."""
        return F.elu(self.feature(x)) * self.gate(x).sigmoid()
