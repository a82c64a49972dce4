"""CAL: features that cannot tell the outfits of a person apart (Gu et al., CVPR 2022).

The baseline of OC4-ReID (row 0 of its Table II).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from unveil.methods.clothes_branch import ClothesBranch, ClothesSettings
from unveil.methods.method import LabelSpace, Step
from unveil.nn.backbones.backbone import Backbone
from unveil.nn.pooling import PoolingName
from unveil.records import Batch, Embedding


@dataclass(frozen=True)
class CALSettings(ClothesSettings):
    """Settings of CAL: those of `ClothesSettings`; without ``clothes_loss`` only the identity loss remains.

    Args:
        pool: how the map becomes a vector.
    """

    pool: PoolingName = "maxavg"


class CAL(ClothesBranch):
    """One vector behind an affine neck, which all losses and the test use."""

    Settings = CALSettings
    settings: CALSettings
    paper = "Gu et al., Clothes-Changing Person Re-identification with RGB Modality Only, CVPR 2022"
    flip_test = True

    def __init__(self, backbone: Backbone, space: LabelSpace, *, settings: CALSettings) -> None:
        super().__init__(backbone, space, settings=settings, pool=settings.pool)

    def losses(self, batch: Batch, step: Step) -> dict[str, Tensor]:
        """Return ``id`` and, from their first epoch on, ``clothes`` and ``clothes_adversarial``."""
        vectors = self.global_vectors(self.backbone(batch.images))
        return {"id": self.identity_loss(vectors, batch)} | self.clothes_losses(vectors, batch, step=step)

    def embed(self, batch: Batch) -> Embedding:
        """Return one vector a crop, compared by cosine."""
        vectors = self.global_vectors(self.backbone(batch.images))
        return Embedding(vectors[:, None], torch.ones_like(vectors[:, :1]))
