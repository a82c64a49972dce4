"""AIM: a branch that learns clothes, and identities that stay when what clothes alone would say is taken away
(Yang et al., "Good is Bad: Causality Inspired Cloth-debiasing for Cloth-changing Person Re-identification", CVPR 2023).

Blocks, losses and schedule are those of the authors' published code (BoomShakaY/AIM-CCReID, commit c3bda2b), as are
the two weights.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from unveil.errors import DataError, RecipeError
from unveil.losses.clothes import clothes_loss
from unveil.losses.cross_entropy import cross_entropy
from unveil.losses.symmetric_divergence import symmetric_divergence
from unveil.methods.clothes_branch import ClothesBranch, ClothesSettings
from unveil.methods.method import LabelSpace, Requirements, Step
from unveil.nn.backbones.backbone import Backbone
from unveil.nn.bilinear_fusion import BilinearFusion
from unveil.nn.neck import CosineClassifier
from unveil.nn.parts.stripe_pyramid import StripePyramid
from unveil.nn.pooling import PoolingName
from unveil.records import Batch, Embedding


@dataclass(frozen=True)
class AIMSettings(ClothesSettings):
    """Settings of AIM beside those of CAL, whose losses it keeps. What follows counts from ``clothes_start_epoch`` on.

    Args:
        pool: how the map becomes the identity vector.
        w_debias: weight of the identity loss on the logits of the identity vector minus those of the vector that the
            clothes branch's attention pools from the identity map.
        w_divergence: weight of the divergence that pulls the clothes branch's classifier towards CAL's.
        divergence: "sum" over the batch, as published, or "mean".
        stripe_width: length of a stripe's vector in the clothes branch.
        fusion_maps: attention maps of the clothes branch.
    """

    pool: PoolingName = "maxavg"
    w_debias: float = 1.0
    w_divergence: float = 1.0
    divergence: Literal["sum", "mean"] = "sum"
    stripe_width: int = 256
    fusion_maps: int = 8

    def __post_init__(self) -> None:
        if self.w_divergence and not self.clothes_loss:
            raise RecipeError(
                "method aim: w_divergence pulls towards CAL's clothes classifier, which clothes_loss=false leaves out: "
                "set w_divergence=0 too"
            )


class AIM(ClothesBranch):
    """CAL with a second backbone for clothes, which only training sees; the test looks at the identity vector."""

    Settings = AIMSettings
    settings: AIMSettings
    paper = "Yang et al., Good is Bad: Causality Inspired Cloth-debiasing for Cloth-changing Person Re-ID, CVPR 2023"
    flip_test = True

    def __init__(self, backbone: Backbone, space: LabelSpace, *, settings: AIMSettings) -> None:
        super().__init__(backbone, space, settings=settings, pool=settings.pool)
        channels, dim = backbone.channels, self.pool.out_channels
        self.clothes_backbone = copy.deepcopy(backbone)  # the same start, for example from ImageNet
        self.pyramid = StripePyramid(channels, dim, width=settings.stripe_width)
        self.clothes_classifier = CosineClassifier(dim, space.clothes)
        self.fusion = BilinearFusion(channels, dim, maps=settings.fusion_maps)

    @property
    def requirements(self) -> Requirements:
        """Outfits to train, nothing to test."""
        return Requirements(train_clothes=True)

    def losses(self, batch: Batch, step: Step) -> dict[str, Tensor]:
        """Return ``id``, ``clothes_branch``, and from their first epoch on CAL's losses, ``debias``, ``divergence``."""
        settings = self.settings
        if batch.clothes is None:
            raise DataError("AIM needs the outfit of every crop, but the batch has none")
        features, clothes_features = self.backbone(batch.images), self.clothes_backbone(batch.images)
        vectors = self.global_vectors(features)
        outfits = self.clothes_classifier(self.pyramid(clothes_features))
        terms = {
            "id": self.identity_loss(vectors, batch),
            "clothes_branch": clothes_loss(outfits, batch.clothes, scale=settings.clothes_scale),
            **self.clothes_losses(vectors, batch, step=step),
        }
        if step.epoch < settings.clothes_start_epoch:
            return terms
        if settings.w_debias:
            by_clothes = self.fusion(features, clothes_features.detach())
            logits = self.classifier(vectors) - self.classifier(by_clothes)
            terms["debias"] = settings.w_debias * cross_entropy(logits, batch.persons, smoothing=settings.smoothing)
        if settings.w_divergence and self.clothes is not None:
            seen = self.clothes.classifier(vectors).detach()
            terms["divergence"] = settings.w_divergence * symmetric_divergence(
                seen, outfits, reduce=settings.divergence
            )
        return terms

    def embed(self, batch: Batch) -> Embedding:
        """Return one vector a crop, compared by cosine."""
        vectors = self.global_vectors(self.backbone(batch.images))
        return Embedding(vectors[:, None], torch.ones_like(vectors[:, :1]))

    def frozen_modules(self) -> list[nn.Module]:
        """Return both backbones."""
        return [self.backbone, self.clothes_backbone]
