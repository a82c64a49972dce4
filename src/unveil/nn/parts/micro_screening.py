"""T2MGS, the train-test micro-granularity screening of OC4-ReID: stripes weighed, and at test screened, by channel."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from unveil.nn.parts.quality_predictor import QualityPredictor
from unveil.nn.parts.stripes import stripe_bounds


class MicroScreening(nn.Module):
    """k stripes, each weighed channel by channel by its quality, and one vector of them all (eq. 2-3, Algorithm 1).

    Args:
        channels: channels of the map.
        k: number of stripes.
        threshold: lambda; in evaluation mode a quality below it becomes 0.
        shared: one predictor for all stripes (the published code) instead of one each (the text).
        hidden: width of a predictor; see `QualityPredictor`.
        screen: whether to screen at all.
    """

    def __init__(
        self,
        channels: int,
        k: int = 6,
        *,
        threshold: float = 0.35,
        shared: bool = False,
        hidden: int | None = None,
        screen: bool = True,
    ) -> None:
        super().__init__()
        self.k, self.threshold, self.screen = k, threshold, screen
        self.predictors = nn.ModuleList(QualityPredictor(channels, hidden) for _ in range(1 if shared else k))
        self.norm = nn.BatchNorm1d(channels)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Return the vectors of the stripes and of the whole.

        Args:
            features: ``(B, C, h, w)``.

        Returns:
            The weighed stripes f_i^w ``(B, k, C)`` and, behind a batch norm, their mean f_g^w ``(B, C)``.
        """
        stripes = [features[:, :, top:bottom] for top, bottom in stripe_bounds(features.shape[2], self.k)]
        quality = torch.stack([self._predictor(i)(stripe) for i, stripe in enumerate(stripes)], dim=1)
        if self.screen and not self.training:
            quality = quality.masked_fill(quality < self.threshold, 0.0)
        # Eq. 3: the quality is constant over the stripe, so weighing its mean is weighing the map.
        parts = quality * torch.stack([stripe.mean(dim=(2, 3)) for stripe in stripes], dim=1)
        return parts, self.norm(parts.mean(dim=1))

    def _predictor(self, stripe: int) -> nn.Module:
        return self.predictors[stripe % len(self.predictors)]
