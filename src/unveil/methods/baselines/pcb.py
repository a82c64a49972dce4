"""PCB: a vector and a classifier for each horizontal stripe (Sun et al., "Beyond Part Models", ECCV 2018)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from unveil.losses.cross_entropy import cross_entropy
from unveil.methods.method import LabelSpace, Method, Share, Step
from unveil.nn.backbones.backbone import Backbone
from unveil.nn.neck import linear_classifier
from unveil.nn.parts.stripes import stripe_bounds
from unveil.records import Batch, Embedding


@dataclass(frozen=True)
class PCBSettings:
    """Settings of PCB.

    Args:
        stripes: number p of stripes.
        channels: length of the vector of a stripe.
        smoothing: eps of the label smoothing; the paper has none.
    """

    stripes: int = 6
    channels: int = 256
    smoothing: Share = 0.0


class PCB(Method):
    """Mean of each stripe, a 1x1 convolution, a classifier; refined part pooling (RPP) is not part of it."""

    Settings = PCBSettings
    paper = "Sun et al., Beyond Part Models: Person Retrieval with Refined Part Pooling, ECCV 2018"

    def __init__(self, backbone: Backbone, space: LabelSpace, *, settings: PCBSettings) -> None:
        super().__init__(backbone, space, settings=settings)
        self.reductions = nn.ModuleList(
            # On the mean of a stripe a 1x1 convolution is a linear map.
            nn.Sequential(
                nn.Linear(backbone.channels, settings.channels, bias=False),
                nn.BatchNorm1d(settings.channels),
                nn.ReLU(),
            )
            for _ in range(settings.stripes)
        )
        self.classifiers = nn.ModuleList(
            linear_classifier(settings.channels, space.persons, bias=True) for _ in range(settings.stripes)
        )

    def losses(self, batch: Batch, step: Step) -> dict[str, Tensor]:
        """Return ``id_1`` .. ``id_p``, one for each stripe (section 3.3: their sum is minimised)."""
        return {
            f"id_{number}": cross_entropy(classifier(vector), batch.persons, smoothing=self.settings.smoothing)
            for number, (classifier, vector) in enumerate(zip(self.classifiers, self._vectors(batch), strict=True), 1)
        }

    def embed(self, batch: Batch) -> Embedding:
        """Return the p vectors h of the stripes, from head to feet."""
        vectors = torch.stack(self._vectors(batch), dim=1)
        names = tuple(f"stripe{number}" for number in range(1, self.settings.stripes + 1))
        return Embedding(vectors, torch.ones_like(vectors[:, :, 0]), names)

    def _vectors(self, batch: Batch) -> list[Tensor]:
        features = self.backbone(batch.images)
        bounds = stripe_bounds(features.shape[2], self.settings.stripes)
        means = [features[:, :, top:bottom].mean(dim=(2, 3)) for top, bottom in bounds]
        return [reduce(mean) for reduce, mean in zip(self.reductions, means, strict=True)]
