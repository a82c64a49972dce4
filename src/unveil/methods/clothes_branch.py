"""The global branch that CAL (Gu et al., CVPR 2022) is, and that OC4-ReID keeps beside its stripes."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from unveil.losses.cross_entropy import cross_entropy
from unveil.methods.clothes_adversary import ClothesAdversary
from unveil.methods.method import LabelSpace, Method, Requirements, Share, Step
from unveil.nn.backbones.backbone import Backbone
from unveil.nn.neck import cal_neck, linear_classifier
from unveil.nn.pooling import PoolingName, build_pooling
from unveil.records import Batch


@dataclass(frozen=True)
class ClothesSettings:
    """Settings of the global branch.

    Args:
        clothes_loss: train a clothes classifier and against it.
        clothes_start_epoch: 0-based epoch from which on the clothes losses count.
        clothes_scale: inverse temperature of the clothes losses.
        clothes_epsilon: share of the adversarial loss's weight that is spread over all outfits of the person.
        smoothing: eps of the label smoothing.
    """

    clothes_loss: bool = True
    clothes_start_epoch: int = 25
    clothes_scale: float = 16.0
    clothes_epsilon: Share = 0.1
    smoothing: Share = 0.1


class ClothesBranch(Method):
    """Pooling, affine neck, identity classifier and, with ``clothes_loss``, the adversary of the outfits.

    Args:
        backbone: any backbone.
        space: identities and outfits.
        settings: of the method.
        pool: how the map becomes the global vector.
    """

    settings: ClothesSettings

    def __init__(self, backbone: Backbone, space: LabelSpace, *, settings: ClothesSettings, pool: PoolingName) -> None:
        super().__init__(backbone, space, settings=settings)
        self.pool = build_pooling(pool, backbone.channels)
        channels = self.pool.out_channels
        self.neck = cal_neck(channels)
        self.classifier = linear_classifier(channels, space.persons, bias=True)
        self.clothes: ClothesAdversary | None = None
        if settings.clothes_loss:
            self.clothes = ClothesAdversary(
                channels,
                space,
                start_epoch=settings.clothes_start_epoch,
                scale=settings.clothes_scale,
                epsilon=settings.clothes_epsilon,
            )

    @property
    def requirements(self) -> Requirements:
        """Outfits to train, nothing to test."""
        return Requirements(train_clothes=self.settings.clothes_loss)

    def global_vectors(self, features: Tensor) -> Tensor:
        """Return f_g ``(B, D)``, behind the neck, of a map ``(B, C, h, w)``."""
        return self.neck(self.pool(features))

    def identity_loss(self, vectors: Tensor, batch: Batch) -> Tensor:
        """Return the identity loss of `global_vectors`."""
        return cross_entropy(self.classifier(vectors), batch.persons, smoothing=self.settings.smoothing)

    def clothes_losses(self, vectors: Tensor, batch: Batch, *, step: Step) -> dict[str, Tensor]:
        """Return ``clothes`` and ``clothes_adversarial`` of `global_vectors`, from their first epoch on."""
        return self.clothes.losses(vectors, batch, step=step) if self.clothes else {}

    def auxiliary_parameters(self) -> list[nn.Parameter]:
        """Return those of the clothes classifier."""
        return list(self.clothes.parameters()) if self.clothes else []
