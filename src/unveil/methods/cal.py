"""CAL: features that cannot tell the outfits of a person apart (Gu et al., CVPR 2022).

The baseline of OC4-ReID (row 0 of its Table II).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from unveil.losses.cross_entropy import cross_entropy
from unveil.methods.ablation import Row, Table
from unveil.methods.clothes_adversary import ClothesAdversary
from unveil.methods.method import LabelSpace, Method, Needs, Step
from unveil.nn.backbone import Backbone
from unveil.nn.neck import cal_neck, linear_classifier
from unveil.nn.pooling import PoolingName, build_pooling
from unveil.records import Batch, Embedding


@dataclass(frozen=True)
class CALSettings:
    """Settings of CAL.

    Args:
        clothes_loss: train a clothes classifier and against it; without it only the identity loss remains.
        clothes_start_epoch: 0-based epoch from which on the clothes losses count.
        clothes_scale: inverse temperature of the clothes losses.
        clothes_epsilon: share of the adversarial loss's weight that is spread over all outfits of the person.
        pool: how the map becomes a vector.
        smoothing: eps of the label smoothing.
    """

    clothes_loss: bool = True
    clothes_start_epoch: int = 25
    clothes_scale: float = 16.0
    clothes_epsilon: float = 0.1
    pool: PoolingName = "maxavg"
    smoothing: float = 0.1


class CAL(Method):
    """One vector behind an affine neck, which all losses and the test use."""

    Settings = CALSettings
    settings: CALSettings
    paper = "Gu et al., Clothes-Changing Person Re-identification with RGB Modality Only, CVPR 2022"
    flip_test = True

    def __init__(self, backbone: Backbone, space: LabelSpace, settings: CALSettings) -> None:
        super().__init__(backbone, space, settings)
        self.pool = build_pooling(settings.pool, backbone.channels)
        channels = self.pool.out_channels
        self.neck = cal_neck(channels)
        self.classifier = linear_classifier(channels, space.persons, bias=True)
        self.clothes: ClothesAdversary | None = None
        if settings.clothes_loss:
            self.clothes = ClothesAdversary(
                channels, space, settings.clothes_start_epoch, settings.clothes_scale, settings.clothes_epsilon
            )

    @property
    def needs(self) -> Needs:
        """Outfits to train, nothing to test."""
        return Needs(train_clothes=self.settings.clothes_loss)

    def losses(self, batch: Batch, step: Step) -> dict[str, Tensor]:
        """Return ``id`` and, from their first epoch on, ``clothes`` and ``clothes_adversarial``."""
        features = self._features(batch)
        terms = {"id": cross_entropy(self.classifier(features), batch.persons, self.settings.smoothing)}
        return terms | (self.clothes.losses(features, batch, step) if self.clothes else {})

    def embed(self, batch: Batch) -> Embedding:
        """Return one vector a crop, compared by cosine."""
        vectors = self._features(batch)
        return Embedding(vectors[:, None], torch.ones_like(vectors[:, :1]))

    def inner_parameters(self) -> list[nn.Parameter]:
        """Return those of the clothes classifier."""
        return list(self.clothes.parameters()) if self.clothes else []

    def _features(self, batch: Batch) -> Tensor:
        return self.neck(self.pool(self.backbone(batch.images)))


ABLATIONS = {
    "clothes": Table(
        "Clothes-based adversarial loss",
        "changed clothes",
        (
            "PRCC R-1",
            "PRCC mAP",
            "LTCC R-1",
            "LTCC mAP",
            "Occ-PRCC R-1",
            "Occ-PRCC mAP",
            "Occ-LTCC R-1",
            "Occ-LTCC mAP",
        ),
        (
            Row("identity alone", {"clothes_loss": False}),
            Row("CAL", {}, (55.21, 55.83, 34.41, 16.12, 45.34, 43.21, 29.94, 9.23)),
        ),
        "The figures are those that OC4-ReID prints for CAL in its Table I.",
    ),
}
