"""The project's own parsing network: what is worn and which body part, pixel by pixel, and how much of each part shows.

A small U-shaped network of dense convolutions: on CPUs they train and run faster than depthwise ones of the same size.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

STEM, WIDTHS = 24, (32, 64, 128, 224)  # channels at strides 2, and 4 to 32
BLOCKS = (0, 2, 3, 2)
DECODER = (96, 64, 40)  # channels at strides 16, 8 and 4


class ParsingNet(nn.Module):
    """Scores of classes and body parts at half of the input's size, and the visible share of some parts.

    Args:
        classes: number of things that a pixel can show.
        parts: number of body parts.
        shares: number of visible shares.
        widths: channels at strides 4, 8, 16 and 32.
    """

    def __init__(self, classes: int, parts: int, *, shares: int, widths: Sequence[int] = WIDTHS) -> None:
        super().__init__()
        self.classes, self.parts = classes, parts
        self.stem = nn.Sequential(
            _convolution(3, STEM, kernel=3, stride=2), _convolution(STEM, widths[0], kernel=3, stride=2)
        )
        self.stages = nn.ModuleList()
        for before, width, blocks in zip((0, *widths), widths, BLOCKS, strict=False):
            down = [_convolution(before, width, kernel=3, stride=2)] if before else []
            self.stages.append(nn.Sequential(*down, *(Residual(width, min(width, 192)) for _ in range(blocks))))
        self.ups = nn.ModuleList()
        above = widths[-1]
        for width, skip in zip(DECODER, reversed(widths[:-1]), strict=True):
            self.ups.append(Up(above, skip, width=width))
            above = width
        # Four sub-pixels a position: half of the input's size without a layer there.
        self.head = nn.Conv2d(above, 4 * (classes + parts), 1)
        self.visible = nn.Sequential(nn.Linear(2 * widths[-1], 96), nn.ReLU(inplace=True), nn.Linear(96, shares))

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Score crops.

        Args:
            images: ``(B, 3, H, W)`` normalised RGB; H and W multiples of 32.

        Returns:
            Logits of classes ``(B, classes, H/2, W/2)``, of parts ``(B, parts, H/2, W/2)``, of shares ``(B, shares)``.
        """
        x = self.stem(images)
        skips = []
        for stage in self.stages:
            x = stage(x)
            skips.append(x)
        shares = self.visible(torch.cat([x.mean(dim=(2, 3)), x.amax(dim=(2, 3))], 1))
        for up, skip in zip(self.ups, reversed(skips[:-1]), strict=True):
            x = up(x, skip)
        scores = F.pixel_shuffle(self.head(x), 2)
        return scores[:, : self.classes], scores[:, self.classes :], shares


class Residual(nn.Module):
    """A 3x3 and a 1x1 convolution beside a short cut."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.first = _convolution(width, inner, kernel=3)
        self.second = _convolution(inner, width, kernel=1, active=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return a tensor of the shape of ``x``."""
        return F.relu(x + self.second(self.first(x)))


class Up(nn.Module):
    """Doubles a map, adds the skip connection, and mixes both."""

    def __init__(self, above: int, skip: int, *, width: int) -> None:
        super().__init__()
        self.above, self.skip = nn.Conv2d(above, width, 1), nn.Conv2d(skip, width, 1)
        self.mix = _convolution(width, width, kernel=3)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        """Return ``(B, width, h, w)`` for ``x`` ``(B, above, h/2, w/2)`` and ``skip`` ``(B, skip, h, w)``."""
        larger = F.interpolate(self.above(x), scale_factor=2.0, mode="nearest")
        return self.mix(F.relu(larger + self.skip(skip)))


class LabelNet(nn.Module):
    """The network as it is shipped: one label a pixel at the input's size, and visible shares in [0, 1].

    A label is the class for the first ``plain`` classes, which have no body part, and
    ``plain + (class - plain) * parts + part`` for the others.
    """

    def __init__(self, network: ParsingNet, plain: int) -> None:
        super().__init__()
        self.network, self.plain = network, plain

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return labels ``(B, H, W)`` uint8 and shares ``(B, shares)`` for ``(B, 3, H, W)`` normalised RGB."""
        classes, parts, shares = self.network(images)
        kind, part = (
            F.interpolate(scores, scale_factor=2.0, mode="bilinear", align_corners=False).argmax(1)
            for scores in (classes, parts)
        )
        combined = self.plain + (kind - self.plain) * self.network.parts + part
        return torch.where(kind < self.plain, kind, combined).to(torch.uint8), torch.sigmoid(shares)


def _convolution(inputs: int, outputs: int, *, kernel: int, stride: int = 1, active: bool = True) -> nn.Sequential:
    layers: list[nn.Module] = [
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False),
        nn.BatchNorm2d(outputs),
    ]
    return nn.Sequential(*layers, nn.ReLU(inplace=True)) if active else nn.Sequential(*layers)
