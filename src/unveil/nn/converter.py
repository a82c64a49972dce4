"""The converter module of OCNet: a small grouped convolution in front of every feature."""

from __future__ import annotations

from torch import Tensor, nn


class Converter(nn.Module):
    """Grouped convolution, batch norm and ReLU that reduce the channels, then the mean over positions.

    The paper says "grouped convolution" and no more; kernel, groups, width and the ReLU are free choices.

    Args:
        channels: channels of the map, a multiple of ``groups``.
        dim: length of the vector, a multiple of ``groups``.
        groups: groups of the convolution.
        kernel: its size, odd.
        relu: whether the ReLU is there.
    """

    def __init__(self, channels: int, dim: int = 512, *, groups: int = 4, kernel: int = 1, relu: bool = True) -> None:
        super().__init__()
        self.relu = relu
        self.conv = nn.Conv2d(channels, dim, kernel, padding=kernel // 2, groups=groups, bias=False)
        self.norm = nn.BatchNorm2d(dim)

    def forward(self, x: Tensor) -> Tensor:
        """Return ``(B, dim)`` of a map ``(B, C, h, w)``."""
        converted = self.norm(self.conv(x))
        return (converted.relu() if self.relu else converted).mean(dim=(2, 3))
