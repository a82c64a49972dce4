"""A small anchor-free detector of one class on EfficientNet-Lite0: strides 8, 16 and 32, one box and score a cell."""

from __future__ import annotations

import math
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unveil.nn.backbones.efficientnet_lite import BN_EPS
from unveil.nn.lite_encoder import LiteEncoder

STRIDES = (8, 16, 32)
TAPS = (2, 4, 5)  # stages whose maps have those strides
LAST_BLOCKS = 3  # of the last stage
PRIOR = (1.5, 4.0)  # width and height in strides of a person before anything is learned
RARE = 0.01  # score of a cell before anything is learned


class PersonDetector(nn.Module):
    """Backbone, a pyramid from coarse to fine, and two convolutions a level for each of box and score.

    Args:
        channels: of the pyramid.
        frozen: first stages of the backbone that are not trained.
        start: file of the backbone's published weights; random ones without.
    """

    def __init__(self, channels: int = 96, *, frozen: int = 2, start: Path | None = None) -> None:
        super().__init__()
        self.backbone = LiteEncoder(TAPS, last_blocks=LAST_BLOCKS, frozen=frozen, start=start)
        self.lateral = nn.ModuleList(_conv(width, channels) for width in self.backbone.channels)
        self.merged = nn.ModuleList(_separable(channels) for _ in TAPS[:-1])
        self.towers = nn.ModuleList(nn.Sequential(_separable(channels), _separable(channels)) for _ in TAPS)
        self.heads = nn.ModuleList(nn.Conv2d(channels, 5, 1) for _ in TAPS)
        for head in self.heads:
            assert isinstance(head, nn.Conv2d) and head.bias is not None
            nn.init.normal_(head.weight, std=0.01)
            unlearned = [0.0, 0.0, *map(math.log, PRIOR), math.log(RARE / (1 - RARE))]
            head.bias.data.copy_(torch.tensor(unlearned))

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return boxes and scores of every cell, the finest stride first.

        Args:
            images: ``(B, 3, H, W)`` in [-1, 1]; H and W are multiples of 32.

        Returns:
            ``(B, N, 4)`` centre x, centre y, width and height in pixels; ``(B, N)`` scores as logits.
        """
        maps = self.backbone(images)
        top = self.lateral[-1](maps[-1])
        levels = [top]
        for k in range(len(TAPS) - 2, -1, -1):
            up = F.interpolate(levels[0], scale_factor=2.0, mode="nearest")
            levels.insert(0, self.merged[k](self.lateral[k](maps[k]) + up))
        boxes, scores = [], []
        for level, tower, head, stride in zip(levels, self.towers, self.heads, STRIDES, strict=True):
            found = head(tower(level)).float().flatten(2).transpose(1, 2)
            cells = grid(level.shape[-2], level.shape[-1], device=images.device)
            centre = (found[..., :2] + cells) * stride
            size = found[..., 2:4].clamp(-6, 6).exp() * stride
            boxes.append(torch.cat([centre, size], -1))
            scores.append(found[..., 4])
        return torch.cat(boxes, 1), torch.cat(scores, 1)


def grid(height: int, width: int, *, device: torch.device) -> Tensor:
    """Return the centres of cells ``(height * width, 2)`` x, y in cells, row by row."""
    y, x = torch.meshgrid(
        torch.arange(height, device=device) + 0.5, torch.arange(width, device=device) + 0.5, indexing="ij"
    )
    return torch.stack([x.flatten(), y.flatten()], 1)


def _conv(channels_in: int, channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels_in, channels, 1, bias=False), nn.BatchNorm2d(channels, eps=BN_EPS), nn.ReLU6(inplace=True)
    )


def _separable(channels: int) -> nn.Sequential:
    """A depthwise 5x5 and a 1x1 convolution."""
    return nn.Sequential(
        nn.Conv2d(channels, channels, 5, padding=2, groups=channels, bias=False),
        nn.BatchNorm2d(channels, eps=BN_EPS),
        nn.Conv2d(channels, channels, 1, bias=False),
        nn.BatchNorm2d(channels, eps=BN_EPS),
        nn.ReLU6(inplace=True),
    )
