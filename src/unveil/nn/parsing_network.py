"""The project's own parsing network: what is worn and which body part, pixel by pixel, and how much of each part shows.

A trimmed EfficientNet-Lite0 from ImageNet weights, and a small decoder of dense convolutions.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

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
    The network finds both factors and multiplies them: sums of features take far longer to learn a product.

    Args:
        classes: number of things that a pixel can show.
        sides: of each body part, 1 for the person's left, -1 for the right, which follows its left, 0 for neither.
        shares: number of visible shares.
        frozen: first stages of the encoder that are not trained.
        start: file of the encoder's published weights; random ones without.
    """

    kinds: Tensor
    pairs: Tensor
    sides: Tensor

    def __init__(
        self, classes: int, sides: Sequence[int], *, shares: int, frozen: int = 2, start: Path | None = None
    ) -> None:
        super().__init__()
        self.classes, self.parts = classes, len(sides)
        side = torch.tensor(sides)
        # Kinds of parts: a left one and the right one after it are one kind. Pairs: those of which there are two.
        for name, value in (
            ("kinds", (side >= 0).cumsum(0) - 1), ("pairs", ((side > 0).cumsum(0) - 1).clamp(min=0)),
            ("sides", side.float().view(1, -1, 1, 1)),
        ):  # fmt: skip
            self.register_buffer(name, value, persistent=False)
        self.outputs = (classes, sum(s >= 0 for s in sides), max(1, sum(s > 0 for s in sides)))
        self.encoder = LiteEncoder(TAPS, last_blocks=LAST_BLOCKS, frozen=frozen, start=start)
        *skips, above = self.encoder.channels
        self.visible = nn.Sequential(nn.Linear(2 * above, 96), nn.ReLU(inplace=True), nn.Linear(96, shares + 1))
        self.ups = nn.ModuleList()
        for width, skip in zip(DECODER, reversed(skips), strict=True):
            self.ups.append(Up(above, skip, width=width))
            above = width
        # Four sub-pixels a position: half of the input's size without a layer there.
        self.head = nn.Conv2d(above, 4 * sum(self.outputs), 1)

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
        classes, kinds, turns = F.pixel_shuffle(self.head(x), 2).split(self.outputs, dim=1)
        shares, facing = told[:, :-1], told[:, -1]
        turned = turns * facing.tanh()[:, None, None, None]
        parts = kinds[:, self.kinds] + turned[:, self.pairs] * self.sides
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


class _Largest(torch.autograd.Function):
    """Twice as large, then the channel with the largest value; in ONNX with the channels last, in half of the time."""

    @staticmethod
    def forward(_: Any, scores: Tensor) -> Tensor:
        return F.interpolate(scores, scale_factor=2.0, mode="bilinear", align_corners=False).argmax(1)

    @staticmethod
    def symbolic(graph: Any, scores: Any) -> Any:
        last = graph.op("Transpose", scores, perm_i=[0, 2, 3, 1])
        none, scales = (graph.op("Constant", value_t=torch.tensor(values)) for values in ([], [1.0, 2.0, 2.0, 1.0]))
        larger = graph.op("Resize", last, none, scales, coordinate_transformation_mode_s="half_pixel", mode_s="linear")
        return graph.op("ArgMax", larger, axis_i=3, keepdims_i=0)


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
        kind, part = (_Largest.apply(scores).int() for scores in (classes, parts))
        combined = self.plain + (kind - self.plain) * self.network.parts + part
        return torch.where(kind < self.plain, kind, combined).to(torch.uint8), torch.sigmoid(shares)
