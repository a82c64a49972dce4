"""The clothes part of CAL (Gu et al., CVPR 2022), which OC4-ReID takes over: a classifier of outfits to be deceived."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.func import functional_call

from unveil.errors import DataError
from unveil.losses.clothes import clothes_adversarial_loss, clothes_loss
from unveil.methods.method import LabelSpace, Step
from unveil.nn.neck import CosineClassifier
from unveil.records import Batch


class ClothesAdversary(nn.Module):
    """A clothes classifier with an optimiser of its own, and the loss that trains everything else against it.

    Args:
        channels: length of the vectors.
        space: tells how many outfits there are and whose they are.
        start_epoch: epochs (0-based) before this one have no clothes losses.
        scale: inverse temperature of both losses.
        epsilon: see `clothes_adversarial_loss`.
    """

    owners: Tensor

    def __init__(self, channels: int, space: LabelSpace, *, start_epoch: int, scale: float, epsilon: float) -> None:
        super().__init__()
        self.start_epoch, self.scale, self.epsilon = start_epoch, scale, epsilon
        self.classifier = CosineClassifier(channels, space.clothes)
        self.register_buffer("owners", torch.tensor(space.outfits, dtype=torch.long), persistent=False)

    def losses(self, features: Tensor, batch: Batch, *, step: Step) -> dict[str, Tensor]:
        """Return ``clothes`` (L_C, without a gradient: it has trained already) and ``clothes_adversarial`` (L_CA).

        Args:
            features: ``(B, channels)``.
            batch: with outfits.
            step: its `auxiliary_step` trains the classifier between the two losses.

        Raises:
            DataError: the batch has no outfits.
        """
        if step.epoch < self.start_epoch:
            return {}
        if batch.clothes is None:
            raise DataError("the clothes losses need the outfit of every crop, but the batch has none")
        # Cosines times 16 lose too many digits in half precision.
        with torch.autocast(features.device.type, enabled=False):
            features = features.to(torch.promote_types(features.dtype, torch.float32))
            own_loss = clothes_loss(self.classifier(features.detach()), batch.clothes, scale=self.scale)
            step.auxiliary_step(own_loss)
            # With the updated classifier, which this loss must not train.
            frozen = {name: parameter.detach() for name, parameter in self.classifier.named_parameters()}
            cosines = functional_call(self.classifier, frozen, (features,))
            adversarial = clothes_adversarial_loss(
                cosines,
                batch.clothes,
                persons=batch.persons,
                owners=self.owners,
                scale=self.scale,
                epsilon=self.epsilon,
            )
        return {"clothes": own_loss.detach(), "clothes_adversarial": adversarial}
