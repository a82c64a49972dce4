"""Reconstructive pooling of SSGR (eq. 2): one vector as attention over the positions of a map."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class ReconstructivePooling(nn.Module):
    """``(W_v F) softmax(W_m F)^T`` with the softmax over positions.

    The paper calls it a selection on channels; by its dimensions it is one over positions. The first weights are a free
    choice: an almost flat softmax and an almost unchanged value, so that training starts from average pooling.

    Args:
        channels: channels of the map.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.value = nn.Linear(channels, channels, bias=False)
        self.mask = nn.Linear(channels, 1, bias=False)
        nn.init.normal_(self.mask.weight, 0.0, 0.01)
        nn.init.normal_(self.value.weight, 0.0, 0.001)
        with torch.no_grad():
            self.value.weight.diagonal().add_(1.0)

    def forward(self, x: Tensor) -> Tensor:
        """Return ``(B, C)`` of a map ``(B, C, h, w)``."""
        positions = x.flatten(2).transpose(1, 2)
        attention = self.mask(positions).softmax(dim=1).to(positions.dtype)
        # eq. 2; both steps are linear, so pooling first spares W_v on every position.
        return self.value((positions * attention).sum(dim=1))
