"""The project's own parsing network: what is worn and which body part, pixel by pixel, and how much of each part shows.

A trimmed EfficientNet-Lite0 from ImageNet weights, and a small decoder of dense convolutions.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from unveil.nn.lite_encoder import LiteEncoder

TAPS = (1, 2, 4, 5)  # stages of strides 4, 8, 16 and 32
LAST_BLOCKS = 2  # of the last stage
DECODER = (64, 48, 32)  # channels at strides 16, 8 and 4


class ParsingNet(nn.Module):
    """Scores of classes and body parts at half of the input's size, and the visible share of some parts.

    A left limb looks as a right one does: which it is, is where it is in the image times which way the person faces.
    The network finds both factors and multiplies them, since no sum of features learns a product soon.

    Args:
        classes: number of things that a pixel can show.
        parts: number of body parts.
        shares: number of visible shares.
        sides: of each part, 1 for the person's left, -1 for the right, 0 for neither; all neither by default.
        frozen: first stages of the encoder that are not trained.
        start: file of the encoder's published weights; random ones without.
    """

    sides: Tensor

    def __init__(
        self,
        classes: int,
        parts: int,
        *,
        shares: int,
        sides: Sequence[int] = (),
        frozen: int = 2,
        start: Path | None = None,
    ) -> None:
        super().__init__()
        self.classes, self.parts = classes, parts
        self.register_buffer("sides", torch.tensor(sides or [0] * parts).float().view(1, -1, 1, 1), persistent=False)
        self.encoder = LiteEncoder(TAPS, last_blocks=LAST_BLOCKS, frozen=frozen, start=start)
        *skips, above = self.encoder.channels
        self.visible = nn.Sequential(nn.Linear(2 * above, 96), nn.ReLU(inplace=True), nn.Linear(96, shares + 1))
        self.ups = nn.ModuleList()
        for width, skip in zip(DECODER, reversed(skips), strict=True):
            self.ups.append(Up(above, skip, width=width))
            above = width
        # Four sub-pixels a position: half of the input's size without a layer there.
        self.head = nn.Conv2d(above, 4 * (classes + parts + 1), 1)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Score crops.

        Args:
            images: ``(B, 3, H, W)`` RGB in [-1, 1]; H and W multiples of 32.

        Returns:
            Logits of classes ``(B, classes, H/2, W/2)``, of parts ``(B, parts, H/2, W/2)``, of shares ``(B, shares)``,
            and of the person's left being on the right of the image ``(B,)``.
        """
        *skips, x = self.encoder(images)
        told = self.visible(torch.cat([x.mean(dim=(2, 3)), x.amax(dim=(2, 3))], 1))
        for up, skip in zip(self.ups, reversed(skips), strict=True):
            x = up(x, skip)
        classes, parts, side = F.pixel_shuffle(self.head(x), 2).split((self.classes, self.parts, 1), dim=1)
        shares, facing = told[:, :-1], told[:, -1]
        parts = parts + side * facing.tanh()[:, None, None, None] * self.sides
        return classes, parts, shares, facing


class Up(nn.Module):
    """Doubles a map, adds the skip connection, and mixes both."""

    def __init__(self, above: int, skip: int, *, width: int) -> None:
        super().__init__()
        self.above, self.skip = nn.Conv2d(above, width, 1), nn.Conv2d(skip, width, 1)
        self.mix = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU(inplace=True)
        )

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
        classes, parts, shares, _ = self.network(images)
        kind = F.interpolate(classes, scale_factor=2.0, mode="bilinear", align_corners=False).argmax(1).int()
        # The borders of parts are looked at less closely than those of things: enlarging labels takes far less time.
        half = parts.argmax(1, keepdim=True).to(torch.uint8)
        part = F.interpolate(half, scale_factor=2.0, mode="nearest")[:, 0].int()
        combined = self.plain + (kind - self.plain) * self.network.parts + part
        return torch.where(kind < self.plain, kind, combined).to(torch.uint8), torch.sigmoid(shares)
