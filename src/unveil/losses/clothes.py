"""The clothes losses of CAL (Gu et al., "Clothes-Changing Person Re-identification with RGB Modality Only", CVPR 2022,
sections 3.2 and 3.3), which OC4-ReID takes over (eq. 6).

Both take the cosines of a crop's vector to the vectors of all outfits; outfits are never shared by two people.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def clothes_loss(cosines: Tensor, clothes: Tensor, *, scale: float = 16.0) -> Tensor:
    """Return L_C, the cross-entropy that trains the clothes classifier, mean over the batch.

    Args:
        cosines: ``(B, C)`` in [-1, 1].
        clothes: ``(B,)`` outfit codes.
        scale: inverse temperature.
    """
    return F.cross_entropy(scale * cosines, clothes)


def clothes_adversarial_loss(
    cosines: Tensor, clothes: Tensor, *, persons: Tensor, owners: Tensor, scale: float = 16.0, epsilon: float = 0.1
) -> Tensor:
    """Return L_CA, which makes all outfits of the crop's person equally likely, mean over the batch.

    Args:
        cosines: ``(B, C)`` in [-1, 1].
        clothes: ``(B,)`` outfit codes.
        persons: ``(B,)`` identity codes.
        owners: ``(C,)`` identity code of each outfit.
        scale: inverse temperature.
        epsilon: share of the weight that is spread over all outfits of the person.

    Returns:
        A scalar; equal to `clothes_loss` where each person has one outfit.
    """
    logits = scale * cosines
    own = owners[None, :] == persons[:, None]  # S+ of each crop; all other outfits are S-
    others = logits.masked_fill(own, -torch.inf).logsumexp(dim=1, keepdim=True)
    log_p = logits - torch.logaddexp(logits, others)  # own outfits do not compete with each other
    spread = own.to(logits.dtype) / own.sum(dim=1, keepdim=True)
    worn = F.one_hot(clothes, logits.shape[1]).to(logits.dtype)
    weights = (1 - epsilon) * worn + epsilon * spread
    return -(weights * log_p).sum(dim=1).mean()
