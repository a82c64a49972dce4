"""The two predictors of part maps in PAB-ReID: where background, head, arms, torso and legs are."""

from __future__ import annotations

from torch import Tensor, nn


class PixelAttention(nn.Module):
    """The pixel-level attention predictor (eq. 1-2): two 3x3 convolutions and a softmax over the maps.

    Args:
        channels: channels of the backbone's map.
        maps: number of maps, background included.
        hidden: channels between the convolutions; a free choice.
        relu_before_softmax: whether the logits are clipped at 0, as printed.
    """

    def __init__(self, channels: int, maps: int, *, hidden: int = 512, relu_before_softmax: bool = True) -> None:
        super().__init__()
        self.hidden = nn.Sequential(  # eq. 1
            nn.Conv2d(channels, hidden, 3, padding=1, bias=False), nn.BatchNorm2d(hidden), nn.ReLU()
        )
        last = [nn.ReLU()] if relu_before_softmax else []
        self.logits = nn.Sequential(nn.Conv2d(hidden, maps, 3, padding=1, bias=False), nn.BatchNorm2d(maps), *last)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logarithms of the maps, ``(B, maps, h, w)``; the maps sum to 1 at every position."""
        return self.logits(self.hidden(x)).log_softmax(dim=1)  # eq. 2


class PixelProjection(nn.Module):
    """The plain predictor that stands in where the pixel-level one is ablated: batch norm and a 1x1 convolution.

    Args:
        channels: channels of the backbone's map.
        maps: number of maps, background included.
    """

    def __init__(self, channels: int, maps: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels)
        self.logits = nn.Conv2d(channels, maps, 1)
        nn.init.normal_(self.logits.weight, 0.0, 0.001)
        nn.init.zeros_(self.logits.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        """Return the logarithms of the maps, ``(B, maps, h, w)``."""
        return self.logits(self.norm(x)).log_softmax(dim=1)
