"""BSGA, the body shape-guided attention of CRE + BSGA (eq. 2-5): where to look, told by the outline of the body."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class BodyShapeAttention(nn.Module):
    """A gate on every position from the map and the mask of the body, by 7x7 convolutions of few channels.

    Symbols of the equations are lost in print; shapes follow from what is left: the map becomes 2 channels, the mask
    1, and the three of them 1. There is no residual, so at first the map is about halved.

    Args:
        channels: channels of the map.
        share_mask_conv: whether eq. 2 and eq. 4 have one convolution of the mask instead of one each (free).
    """

    def __init__(self, channels: int, *, share_mask_conv: bool = False) -> None:
        super().__init__()
        self.features = nn.Conv2d(channels, 2, 7, padding=3)
        self.mask = nn.Conv2d(1, 1, 7, padding=3)
        self.mask_again = self.mask if share_mask_conv else nn.Conv2d(1, 1, 7, padding=3)
        self.join = nn.Conv2d(3, 1, 7, padding=3)

    def forward(self, x: Tensor, body: Tensor) -> Tensor:
        """Return the gated map.

        Args:
            x: ``(B, C, h, w)``.
            body: ``(B, H, W)``, 1 on the body and 0 elsewhere, at any resolution.
        """
        mask = F.interpolate(body[:, None].to(x.dtype), x.shape[2:], mode="bilinear")  # fractional at outlines
        joint = torch.cat([self.mask(mask), self.features(x)], dim=1)  # eq. 2
        attention = self.join(joint)  # eq. 3
        gate = (attention * self.mask_again(mask)).sigmoid()  # eq. 4
        return x * gate  # eq. 5
