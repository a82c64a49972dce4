"""How much each channel of a stripe can be trusted: the quality predictor of OC4-ReID (eq. 2)."""

from __future__ import annotations

from torch import Tensor, nn


class QualityPredictor(nn.Module):
    """Two 1x1 convolutions, batch norm, sigmoid, then the mean over the stripe.

    The paper prints the convolutions back to back, which would be one linear map; the ReLU between them and their
    width are those of its published code.

    Args:
        channels: channels of the map.
        hidden: channels between the convolutions; half of ``channels`` for ``None``.
    """

    def __init__(self, channels: int, hidden: int | None = None) -> None:
        super().__init__()
        hidden = hidden or channels // 2
        self.score = nn.Sequential(
            nn.Conv2d(channels, hidden, 1), nn.ReLU(), nn.Conv2d(hidden, channels, 1), nn.BatchNorm2d(channels)
        )

    def forward(self, stripe: Tensor) -> Tensor:
        """Return the quality ``(B, C)`` in (0, 1) of the channels of a stripe ``(B, C, h, w)``."""
        return self.score(stripe).sigmoid().mean(dim=(2, 3))  # eq. 2: the mean of sigmoids, not the sigmoid of a mean
