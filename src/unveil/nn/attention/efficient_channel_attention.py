"""ECA, efficient channel attention (Wang et al., CVPR 2020): a gate on every channel from its neighbours' means."""

from __future__ import annotations

import math

from torch import Tensor, nn


class EfficientChannelAttention(nn.Module):
    """Global mean, a convolution along the channels, sigmoid (eq. 7); its width follows from their number (eq. 12).

    Args:
        channels: channels of the map.
        gamma: divisor in eq. 12.
        b: summand in eq. 12.
    """

    def __init__(self, channels: int, gamma: float = 2.0, *, b: float = 1.0) -> None:
        super().__init__()
        width = int(abs((math.log2(channels) + b) / gamma))
        kernel = width if width % 2 else width + 1
        self.conv = nn.Conv1d(1, 1, kernel, padding=kernel // 2, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return the gated map ``(B, C, h, w)``."""
        scores = self.conv(x.mean(dim=(2, 3))[:, None])[:, 0]
        return x * scores.sigmoid()[:, :, None, None]
