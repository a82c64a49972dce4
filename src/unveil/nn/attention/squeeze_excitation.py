"""Squeeze-and-excitation (Hu et al., CVPR 2018): a gate on every channel from the means of all channels."""

from __future__ import annotations

from torch import Tensor, nn


class SqueezeExcitation(nn.Module):
    """Global mean, two fully connected layers without biases, sigmoid (eq. 2-4).

    Args:
        channels: channels of the map.
        ratio: by how much the first layer reduces them.
    """

    def __init__(self, channels: int, ratio: int = 16) -> None:
        super().__init__()
        hidden = max(channels // ratio, 1)
        self.excite = nn.Sequential(
            nn.Linear(channels, hidden, bias=False), nn.ReLU(), nn.Linear(hidden, channels, bias=False)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return the gated map ``(B, C, h, w)``."""
        squeezed = x.mean(dim=(2, 3))  # eq. 2
        return x * self.excite(squeezed).sigmoid()[:, :, None, None]  # eq. 3-4
