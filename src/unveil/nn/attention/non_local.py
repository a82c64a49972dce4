"""The non-local block as FastReID's SBS baseline publishes it (after Wang et al., CVPR 2018, eq. 1)."""

from __future__ import annotations

from torch import Tensor, nn


class NonLocal(nn.Module):
    """Residual non-local block with dot-product weights divided by the number of positions.

    Two traps of the published baseline are kept, because its figures were made with them: the bottleneck is 1 channel
    wide (``inter``), and the weights are divided by the number of positions instead of a softmax. Its last batch norm
    starts at 0, so at first the block returns its input.

    Args:
        channels: channels of the map.
        inter: channels of the bottleneck.
    """

    def __init__(self, channels: int, inter: int = 1) -> None:
        super().__init__()
        self.query = nn.Conv2d(channels, inter, 1)
        self.key = nn.Conv2d(channels, inter, 1)
        self.value = nn.Conv2d(channels, inter, 1)
        self.out = nn.Conv2d(inter, channels, 1)
        self.norm = nn.BatchNorm2d(channels)
        nn.init.zeros_(self.norm.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Return a map of the shape of ``x``, ``(B, C, h, w)``."""
        query, key, value = (conv(x).flatten(2) for conv in (self.query, self.key, self.value))
        context = key @ value.transpose(1, 2) / key.shape[2]  # without a softmax, sums over positions can go first
        y = context.transpose(1, 2) @ query
        return x + self.norm(self.out(y.unflatten(2, x.shape[2:])))
