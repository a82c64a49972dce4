"""Positions helped by similar and near ones: spatial interaction-and-aggregation (SIA) of IANet (Hou et al., CVPR 2019,
arXiv:1907.08435).

The formula is that of the authors' published code (blue-blue272/ImgReID-IAnet, commit e104e28, models/IA.py).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class SpatialInteraction(nn.Module):
    """Every position gets the average of all positions, weighted by how alike and how near they are.

    For positions i, j of a map ``x`` of C channels:

    - ``A_ij = softmax_j(x_i . x_j / sqrt(C))``, appearance;
    - ``L_ij = softmax_j(-dx^2 / (2 sx^2) - dy^2 / (2 sy^2))``, location;
    - ``R_ij = softmax_j(A_ij L_ij)``, and ``out_i = x_i + BN(sum_j R_ij x_j)``.

    The batch norm starts at weight 0, so the block starts as the identity. Products of two softmaxes are small numbers,
    so the last softmax is nearly flat where no other position is both alike and near.

    Args:
        channels: channels of the map.
        sigma: ``sx`` and ``sy`` as a share of the map's width and height; 0.625 in the authors' code (10 and 20 on a
            map of 16 x 32 positions, 5 and 10 on one of 8 x 16).
    """

    def __init__(self, channels: int, sigma: float = 0.625) -> None:
        super().__init__()
        self.sigma = sigma
        self.norm = nn.BatchNorm2d(channels)
        nn.init.zeros_(self.norm.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Return a map of the shape of ``x``, ``(B, C, h, w)``."""
        # Inner products over all channels are large: half precision would decide the softmax by rounding.
        with torch.autocast(x.device.type, enabled=False):
            flat = x.flatten(2).to(torch.promote_types(x.dtype, torch.float32))
            appearance = (flat.transpose(1, 2) @ flat / flat.shape[1] ** 0.5).softmax(dim=2)
            relations = (appearance * self.location(x.shape[2], x.shape[3]).to(flat)).softmax(dim=2)
            aggregated = (flat @ relations.transpose(1, 2)).view(x.shape).to(x.dtype)
        return x + self.norm(aggregated)

    def location(self, height: int, width: int) -> Tensor:
        """Return the location weights ``(h w, h w)`` of a map; rows sum to 1."""
        y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
        rows, columns = y.flatten().float(), x.flatten().float()
        dy = (rows[:, None] - rows[None, :]) / (self.sigma * height)
        dx = (columns[:, None] - columns[None, :]) / (self.sigma * width)
        return (-(dx.square() + dy.square()) / 2).softmax(dim=1)
