"""The centre-focus module of OCNet: attention on the middle of the crop, where the person stands."""

from __future__ import annotations

from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

Region = Literal["columns", "square"]


class CentreFocus(nn.Module):
    """Softmax over the positions of the centre, multiplied with the map and added to it.

    The paper shows the module in an image only; region and scale are free choices. With ``rescale`` the mean weight
    in the region is 1; without it weights are about one over the number of positions and vanish beside the sum.

    Args:
        channels: channels of the map.
        width: positions across the centre; a narrower map is taken whole.
        region: "columns" over the full height, or a "square".
        rescale: whether the probabilities are multiplied by their number.
    """

    def __init__(self, channels: int, width: int = 2, *, region: Region = "columns", rescale: bool = True) -> None:
        super().__init__()
        self.score = nn.Conv2d(channels, 1, 1)
        self.width, self.region, self.rescale = width, region, rescale

    def attention(self, x: Tensor) -> Tensor:
        """Return the weights ``(B, 1, h, w)``: 0 outside the region."""
        full_height, full_width = x.shape[2:]
        width = min(self.width, full_width)
        height = full_height if self.region == "columns" else min(self.width, full_height)
        top, left = (full_height - height) // 2, (full_width - width) // 2
        scores = self.score(x[:, :, top : top + height, left : left + width])
        weights = scores.flatten(1).softmax(dim=1).view_as(scores)
        if self.rescale:
            weights = weights * (height * width)
        return F.pad(weights, (left, full_width - left - width, top, full_height - top - height))

    def forward(self, x: Tensor) -> Tensor:
        """Return a map of the shape of ``x``, ``(B, C, h, w)``."""
        return x * self.attention(x).to(x.dtype) + x
