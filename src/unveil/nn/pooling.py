"""From a map ``(B, C, h, w)`` to a vector: average, maximum, both, and generalised mean."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn

PoolingName = Literal["avg", "max", "maxavg", "gem"]


class Pooling(nn.Module):
    """Base of the poolings; ``out_channels`` is the length of the vector."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.out_channels = channels

    def forward(self, x: Tensor) -> Tensor:
        """Return ``(B, out_channels)``."""
        raise NotImplementedError


class AvgPooling(Pooling):
    """Mean over all positions."""

    def forward(self, x: Tensor) -> Tensor:
        """Return ``(B, C)``."""
        return x.mean(dim=(2, 3))


class MaxPooling(Pooling):
    """Maximum over all positions."""

    def forward(self, x: Tensor) -> Tensor:
        """Return ``(B, C)``."""
        return x.amax(dim=(2, 3))


class MaxAvgPooling(Pooling):
    """Maximum and mean, one behind the other (CAL, Gu et al., CVPR 2022)."""

    def __init__(self, channels: int) -> None:
        super().__init__(2 * channels)

    def forward(self, x: Tensor) -> Tensor:
        """Return ``(B, 2 C)``."""
        return torch.cat([x.amax(dim=(2, 3)), x.mean(dim=(2, 3))], dim=1)


class GeMPooling(Pooling):
    """Generalised mean with a learnt exponent (Radenovic et al., TPAMI 2019, eq. 3).

    Args:
        channels: channels of the map.
        p: first value of the exponent; 1 is the mean, infinity the maximum.
        eps: smallest value that a feature counts with.
    """

    def __init__(self, channels: int, p: float = 3.0, *, eps: float = 1e-6) -> None:
        super().__init__(channels)
        self.p = nn.Parameter(torch.tensor([p]))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        """Return ``(B, C)``."""
        powers = x.clamp(min=self.eps).pow(self.p)  # eq. 3: (mean of x^p)^(1/p)
        return powers.mean(dim=(2, 3)).pow(1 / self.p)


_POOLINGS: dict[str, Callable[[int], Pooling]] = {
    "avg": AvgPooling,
    "max": MaxPooling,
    "maxavg": MaxAvgPooling,
    "gem": GeMPooling,
}


def build_pooling(name: PoolingName, channels: int) -> Pooling:
    """Return a pooling of maps with ``channels`` channels."""
    return _POOLINGS[name](channels)
