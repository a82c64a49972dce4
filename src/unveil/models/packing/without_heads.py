"""A trained model without what only training used: classifiers of its identities and outfits; small enough to ship."""

from __future__ import annotations

import torch
from torch import Tensor

from unveil.methods.method import LabelSpace
from unveil.models.card import Card
from unveil.models.checkpoint import TrainedModel, new_model
from unveil.models.packing.adapted import refuse_adapted


def without_heads(model: TrainedModel, *, half: bool = True) -> tuple[dict[str, Tensor], Card]:
    """Return the weights and the card of a model that embeds as before and knows one nameless identity.

    A tensor whose shape follows the number of identities or outfits belongs to a head and becomes zero.

    Args:
        model: a trained model.
        half: round weights to half precision; the embedding changes in the fourth digit.

    Raises:
        CheckpointError: the model is adapted to cameras; see `refuse_adapted`.
    """
    refuse_adapted(model)
    card = model.card.model_copy(update={"persons": 1, "clothes": 1, "outfits": (0,)})
    expected = new_model(model.recipe, LabelSpace(1, 1, (0,))).state_dict()
    trained = model.method.state_dict()
    tensors = {}
    for name, own in expected.items():
        kept = trained[name].detach().cpu() if trained[name].shape == own.shape else torch.zeros_like(own)
        small = kept.is_floating_point() and half and bool(kept.abs().max() < torch.finfo(torch.float16).max)
        tensors[name] = kept.half() if small else kept
    return tensors, card
