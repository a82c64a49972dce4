"""IANet: positions and channels of two maps interact and aggregate (Hou et al., CVPR 2019).

The blocks, their places and the training are those of the authors' published code (blue-blue272/ImgReID-IAnet, commit
e104e28); where that holds the follow-up IAUnet alone (the losses), IANet is given the same.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from unveil.errors import RecipeError
from unveil.losses.cross_entropy import cross_entropy
from unveil.losses.triplet import batch_hard_triplet
from unveil.methods.method import LabelSpace, Method, Share, Step
from unveil.nn.attention.channel_interaction import ChannelInteraction
from unveil.nn.attention.late_blocks import LateBlocks
from unveil.nn.attention.spatial_interaction import SpatialInteraction
from unveil.nn.backbones.backbone import Backbone
from unveil.nn.pooling import PoolingName, build_pooling
from unveil.records import Batch, Embedding


@dataclass(frozen=True)
class IANetSettings:
    """Settings of IANet.

    Args:
        spatial: the spatial blocks (SIA).
        channel: the channel blocks (CIA), each after the spatial one.
        sigma: reach of the location term of the spatial blocks, as a share of the map's width and height.
        pool: how the map becomes a vector.
        margin: of the triplet loss, by cosine.
        w_metric: weight of the triplet loss.
        smoothing: eps of the label smoothing.
    """

    spatial: bool = True
    channel: bool = True
    sigma: float = 0.625
    pool: PoolingName = "avg"
    margin: float = 0.3
    w_metric: float = 1.0
    smoothing: Share = 0.1

    def __post_init__(self) -> None:
        if self.sigma <= 0:
            raise RecipeError(f"method ianet: sigma: expected a share above 0, found {self.sigma}")


class IANet(Method):
    """Interaction blocks after the second and the third stage; losses and test see the vector behind a batch norm."""

    Settings = IANetSettings
    settings: IANetSettings
    paper = "Hou et al., Interaction-and-Aggregation Network for Person Re-identification, CVPR 2019"

    def __init__(self, backbone: Backbone, space: LabelSpace, *, settings: IANetSettings) -> None:
        super().__init__(backbone, space, settings=settings)
        counts = (0, 1, 1) if settings.spatial or settings.channel else ()
        self.interactions = LateBlocks(backbone.stages, self._block, counts=counts)
        self.pool = build_pooling(settings.pool, backbone.channels)
        self.neck = nn.BatchNorm1d(self.pool.out_channels)
        self.classifier = nn.Linear(self.pool.out_channels, space.persons)

    def losses(self, batch: Batch, step: Step) -> dict[str, Tensor]:
        """Return ``id`` and ``triplet``."""
        settings, vectors = self.settings, self._vectors(batch)
        return {
            "id": cross_entropy(self.classifier(vectors), batch.persons, smoothing=settings.smoothing),
            "triplet": settings.w_metric
            * batch_hard_triplet(vectors, batch.persons, margin=settings.margin, distance="cosine"),
        }

    def embed(self, batch: Batch) -> Embedding:
        """Return one vector a crop, compared by cosine."""
        vectors = self._vectors(batch)
        return Embedding(vectors[:, None], torch.ones_like(vectors[:, :1]))

    def frozen_modules(self) -> list[nn.Module]:
        """Return backbone and interaction blocks."""
        return [self.backbone, self.interactions]

    def _block(self, channels: int) -> nn.Module:
        spatial = [SpatialInteraction(channels, self.settings.sigma)] if self.settings.spatial else []
        return nn.Sequential(*spatial, *([ChannelInteraction(channels)] if self.settings.channel else []))

    def _vectors(self, batch: Batch) -> Tensor:
        return self.neck(self.pool(self.backbone(batch.images, self.interactions.hooks())))
