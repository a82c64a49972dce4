"""BoT: a strong global baseline (Luo et al., "Bag of Tricks and a Strong Baseline for Deep Person Re-ID", CVPRW 2019).

The model of what a method file looks like: settings with the paper's defaults, a constructor that composes blocks of
``nn/``, the named losses, and the embedding.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from unveil.losses.cross_entropy import cross_entropy
from unveil.losses.triplet import batch_hard_triplet
from unveil.methods.method import LabelSpace, Method, Share, Step
from unveil.nn.backbones.backbone import Backbone
from unveil.nn.neck import bn_neck, linear_classifier, projection
from unveil.nn.pooling import PoolingName, build_pooling
from unveil.records import Batch, Embedding


@dataclass(frozen=True)
class BoTSettings:
    """Settings of BoT.

    Args:
        pool: how the map becomes a vector.
        margin: of the triplet loss; 0 means the soft margin.
        smoothing: eps of the label smoothing.
        neck: whether the BNNeck is there (section 3.5); without it losses and test see the same vector.
        projection: length of a fully connected layer with batch norm and ReLU behind the pooling, as OSNet has it (Zhou
            et al., ICCV 2019, section 3.2); 0 means none.
    """

    pool: PoolingName = "avg"
    margin: float = 0.3
    smoothing: Share = 0.1
    neck: bool = True
    projection: int = 0


class BoT(Method):
    """Backbone, pooling, BNNeck: the triplet loss sees the vector before the neck, the classifier the one behind it."""

    Settings = BoTSettings
    paper = "Luo et al., Bag of Tricks and a Strong Baseline for Deep Person Re-Identification, CVPR Workshops 2019"

    def __init__(self, backbone: Backbone, space: LabelSpace, *, settings: BoTSettings) -> None:
        super().__init__(backbone, space, settings=settings)
        self.pool = build_pooling(settings.pool, backbone.channels)
        channels = settings.projection or self.pool.out_channels
        self.projection = projection(self.pool.out_channels, channels) if settings.projection else nn.Identity()
        self.neck = bn_neck(channels) if settings.neck else nn.Identity()
        self.classifier = linear_classifier(channels, space.persons)

    def losses(self, batch: Batch, step: Step) -> dict[str, Tensor]:
        """Return ``id`` (section 3.3) and ``triplet`` (section 3.5)."""
        features = self._features(batch)
        logits = self.classifier(self.neck(features))
        return {
            "id": cross_entropy(logits, batch.persons, smoothing=self.settings.smoothing),
            "triplet": batch_hard_triplet(features, batch.persons, margin=self.settings.margin),
        }

    def embed(self, batch: Batch) -> Embedding:
        """Return one vector a crop, the one behind the neck, compared by cosine."""
        vectors = self.neck(self._features(batch))
        return Embedding(vectors[:, None], torch.ones_like(vectors[:, :1]))

    def _features(self, batch: Batch) -> Tensor:
        return self.projection(self.pool(self.backbone(batch.images)))
