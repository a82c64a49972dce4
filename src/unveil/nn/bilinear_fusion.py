"""One map pooled where another one looks: the fusion of identity and clothes branch in AIM (Yang et al., CVPR 2023)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unveil.nn.neck import cal_neck


class BilinearFusion(nn.Module):
    """Bilinear attention pooling: attention maps of the guide weigh the positions of the map.

    Args:
        channels: channels of both maps.
        dim: length of the vector.
        maps: number of attention maps.
    """

    def __init__(self, channels: int, dim: int, *, maps: int = 8) -> None:
        super().__init__()
        self.attention = nn.Sequential(
            nn.Conv2d(channels, maps, 1, bias=False), nn.BatchNorm2d(maps, eps=1e-3), nn.ReLU()
        )
        self.join = nn.Linear(maps * channels, dim, bias=False)
        nn.init.normal_(self.join.weight, 0.0, 0.001)
        self.neck = cal_neck(dim)

    def forward(self, x: Tensor, guide: Tensor) -> Tensor:
        """Return ``(B, dim)`` of two maps ``(B, C, h, w)``."""
        pooled = torch.einsum("bmhw,bchw->bmc", self.attention(guide), x) / (x.shape[2] * x.shape[3])
        # Signed square root and length 1, the usual normalisation of bilinear vectors; eps keeps the gradient finite.
        rooted = pooled.flatten(1).sign() * (pooled.flatten(1).abs() + 1e-12).sqrt()
        return self.neck(self.join(F.normalize(rooted, dim=1)))
