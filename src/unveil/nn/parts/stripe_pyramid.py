"""A vector from stripes at several scales: the clothes branch of AIM (Yang et al., CVPR 2023)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from unveil.nn.neck import cal_neck
from unveil.nn.parts.stripes import stripe_bounds


class StripePyramid(nn.Module):
    """The maximum of every stripe of every scale, reduced by a layer of its own; all of them joined by one more.

    Args:
        channels: channels of the map.
        dim: length of the vector.
        scales: into how many stripes the map is cut, scale by scale; 1 is the whole map.
        width: length of a stripe's vector.
    """

    def __init__(self, channels: int, dim: int, *, scales: Sequence[int] = (1, 2, 4, 8), width: int = 256) -> None:
        super().__init__()
        self.scales = tuple(scales)
        self.reductions = nn.ModuleList(
            # On the maximum of a stripe a 1x1 convolution is a linear map.
            nn.Sequential(nn.Linear(channels, width, bias=False), nn.BatchNorm1d(width), nn.ReLU())
            for _ in range(sum(self.scales))
        )
        self.join = nn.Linear(sum(self.scales) * width, dim, bias=False)
        nn.init.normal_(self.join.weight, 0.0, 0.001)
        self.neck = cal_neck(dim)

    def forward(self, x: Tensor) -> Tensor:
        """Return ``(B, dim)`` of a map ``(B, C, h, w)``."""
        bounds = [pair for scale in self.scales for pair in stripe_bounds(x.shape[2], scale)]
        tops = [x[:, :, top:bottom].amax(dim=(2, 3)) for top, bottom in bounds]
        reduced = [reduce(top) for reduce, top in zip(self.reductions, tops, strict=True)]
        return self.neck(self.join(torch.cat(reduced, dim=1)))
