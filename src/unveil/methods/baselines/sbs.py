"""SBS: the "stronger baseline" of FastReID (He et al., arXiv:2006.02631), on which SSGR stands."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from unveil.losses.circle import circle_softmax
from unveil.losses.cross_entropy import cross_entropy
from unveil.losses.triplet import batch_hard_triplet
from unveil.methods.method import LabelSpace, Method, Share, Step
from unveil.nn.attention.late_blocks import LateBlocks
from unveil.nn.attention.non_local import NonLocal
from unveil.nn.backbones.backbone import Backbone
from unveil.nn.neck import CosineClassifier, bn_neck
from unveil.nn.pooling import PoolingName, build_pooling
from unveil.records import Batch, Embedding


@dataclass(frozen=True)
class SBSSettings:
    """Settings of SBS.

    Args:
        pool: how the map becomes a vector.
        non_local: whether non-local blocks follow the last two blocks of the second and the last three of the third
            stage (fewer where a stage has fewer blocks).
        nl_inter: width of their bottleneck; 1 is what the published code amounts to.
        circle_scale: scale of the circle softmax.
        circle_margin: its margin.
        margin: of the triplet loss; 0 means the soft margin.
        smoothing: eps of the label smoothing, spread over the other classes.
    """

    pool: PoolingName = "gem"
    non_local: bool = True
    nl_inter: int = 1
    circle_scale: float = 64.0
    circle_margin: float = 0.35
    margin: float = 0.0
    smoothing: Share = 0.1


class SBS(Method):
    """Generalised-mean pooling, non-local blocks, circle softmax; losses and test see the vector behind the neck."""

    Settings = SBSSettings
    settings: SBSSettings
    paper = "He et al., FastReID: A Pytorch Toolbox for General Instance Re-identification, arXiv 2020"

    def __init__(self, backbone: Backbone, space: LabelSpace, *, settings: SBSSettings) -> None:
        super().__init__(backbone, space, settings=settings)
        counts = (0, 2, 3) if settings.non_local else ()
        self.attention = LateBlocks(backbone.stages, lambda c: NonLocal(c, settings.nl_inter), counts=counts)
        self.pool = build_pooling(settings.pool, backbone.channels)
        self.neck = bn_neck(self.pool.out_channels)
        self.classifier = CosineClassifier(self.pool.out_channels, space.persons, std=0.01)

    def losses(self, batch: Batch, step: Step) -> dict[str, Tensor]:
        """Return ``id`` and ``triplet``."""
        settings = self.settings
        vectors = self._vectors(batch)
        logits = circle_softmax(
            self.classifier(vectors), batch.persons, scale=settings.circle_scale, margin=settings.circle_margin
        )
        return {
            "id": cross_entropy(logits, batch.persons, smoothing=settings.smoothing, spread="others"),
            "triplet": batch_hard_triplet(vectors, batch.persons, margin=settings.margin),
        }

    def embed(self, batch: Batch) -> Embedding:
        """Return one vector a crop, the one behind the neck, compared by cosine."""
        vectors = self._vectors(batch)
        return Embedding(vectors[:, None], torch.ones_like(vectors[:, :1]))

    def frozen_modules(self) -> list[nn.Module]:
        """Return backbone and non-local blocks, which in FastReID are part of it."""
        return [self.backbone, self.attention]

    def _vectors(self, batch: Batch) -> Tensor:
        return self.neck(self.pool(self.backbone(batch.images, self.attention.hooks())))
