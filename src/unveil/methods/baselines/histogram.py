"""Colour histograms of horizontal stripes: what clothes alone give, without any learning.

The baseline that every trained method must beat; with changed clothes it falls to chance, which is the point.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from unveil.methods.method import LabelSpace, Method, Step
from unveil.nn.backbones.backbone import Backbone
from unveil.records import Batch, Embedding


@dataclass(frozen=True)
class HistogramSettings:
    """Settings of the histogram.

    Args:
        stripes: horizontal stripes, one vector each.
        hue: bins of hue.
        saturation: bins of saturation.
        value: bins of brightness.
        mean: mean that normalisation took away from RGB in [0, 1]; colours are measured on the pixels before it.
        std: standard deviation that normalisation divided by.
    """

    stripes: int = 6
    hue: int = 8
    saturation: int = 4
    value: int = 4
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)


class Histogram(Method):
    """Square roots of HSV histograms, so that the cosine is the Bhattacharyya coefficient. The backbone is not used."""

    Settings = HistogramSettings
    paper = "none: a baseline"
    has_backbone = False
    mean: Tensor
    std: Tensor

    def __init__(self, backbone: Backbone, space: LabelSpace, *, settings: HistogramSettings) -> None:
        super().__init__(backbone, space, settings=settings)
        del self.backbone
        self.register_buffer("mean", torch.tensor(settings.mean)[:, None, None])
        self.register_buffer("std", torch.tensor(settings.std)[:, None, None])
        # Gives the optimiser something to hold; the method has nothing to learn.
        self.unused = nn.Parameter(torch.zeros(()))

    def losses(self, batch: Batch, step: Step) -> dict[str, Tensor]:
        """Return a constant: there is nothing to learn."""
        return {"none": self.unused * 0}

    def embed(self, batch: Batch) -> Embedding:
        """Return one vector a stripe, all visible."""
        rgb = (batch.images * self.std + self.mean).clamp(0, 1)
        codes = self._codes(rgb)
        bins = self.settings.hue * self.settings.saturation * self.settings.value
        vectors = []
        for stripe in codes.tensor_split(self.settings.stripes, dim=1):
            flat = stripe.flatten(1)
            counts = rgb.new_zeros(flat.shape[0], bins).scatter_add_(1, flat, torch.ones_like(flat, dtype=rgb.dtype))
            vectors.append((counts / flat.shape[1]).sqrt())
        names = tuple(f"stripe{i + 1}" for i in range(self.settings.stripes))
        return Embedding(torch.stack(vectors, 1), rgb.new_ones(rgb.shape[0], len(names)), names)

    def _codes(self, rgb: Tensor) -> Tensor:
        """Return the bin of each pixel, ``(B, H, W)`` int64."""
        value, brightest = rgb.max(1)
        span = value - rgb.min(1).values
        red, green, blue = rgb.unbind(1)
        width = span.clamp(min=1e-6)
        sixths = torch.stack([(green - blue) / width % 6, (blue - red) / width + 2, (red - green) / width + 4])
        hue = sixths.gather(0, brightest[None])[0] / 6
        saturation = span / value.clamp(min=1e-6)
        code = torch.zeros_like(brightest)
        s = self.settings
        for channel, bins in ((hue, s.hue), (saturation, s.saturation), (value, s.value)):
            code = code * bins + (channel * bins).long().clamp(0, bins - 1)
        return code
