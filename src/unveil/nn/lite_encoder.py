"""The first stages of EfficientNet-Lite0 as maps of several strides, for networks that answer at every place."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

import torch
from torch import Tensor, nn

from unveil.nn.backbones.efficientnet_lite import EfficientNetLite
from unveil.nn.backbones.weights import load_weights

STAGES = 6  # those of strides up to 32; the last one and the head are wide, and tell kinds of things rather than places


class LiteEncoder(nn.Module):
    """Maps of some stages; batch norms are never trained, so that their statistics stay those of photographs.

    Args:
        taps: numbers of the stages whose maps are returned, in order.
        last_blocks: so many first blocks of the last stage stay.
        frozen: so many first stages, and the stem, are not trained.
        start: file of published weights; random ones without.

    Raises:
        CheckpointError: the file cannot be read or is of another network.
    """

    def __init__(self, taps: Sequence[int], *, last_blocks: int, frozen: int, start: Path | None = None) -> None:
        super().__init__()
        whole = EfficientNetLite(0, last_stride=2)
        if start is not None:
            load_weights(whole, start)
        last = whole.blocks[STAGES - 1]
        assert isinstance(last, nn.Sequential)
        self.conv_stem, self.bn1, self.act = whole.conv_stem, whole.bn1, whole.act
        self.blocks = nn.Sequential(*list(whole.blocks)[: STAGES - 1], last[:last_blocks])
        self.taps, self.frozen = tuple(taps), frozen
        self.channels = tuple(whole.stages[tap].channels for tap in taps)
        for module in (self.conv_stem, self.bn1, *list(self.blocks)[:frozen]):
            module.requires_grad_(requires_grad=False)
        self.eval()

    def train(self, mode: bool = True) -> LiteEncoder:
        """Stay in evaluation mode, whichever is asked for."""
        return super().train(mode=False)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return the maps of the taps ``(B, channels, h, w)`` for ``(B, 3, H, W)`` in [-1, 1]."""
        x = self.act(self.bn1(self.conv_stem(images)))
        maps = []
        for number, stage in enumerate(self.blocks):
            # Depthwise convolutions are trained faster in 32 bits on processors, whatever the precision of the rest.
            mixed = torch.is_autocast_enabled(x.device.type) and x.device.type == "cpu" and number >= self.frozen
            with torch.autocast("cpu", enabled=False) if mixed else nullcontext():
                x = stage(x.float() if mixed else x)
            if number in self.taps:
                maps.append(x)
        return maps
