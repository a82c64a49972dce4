"""Pooling the maps of the parts to vectors: weighted by the masks of the parts, or plainly."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

PartPoolingName = Literal["gwap", "gap", "gmp"]


def pool_parts(features: Tensor, masks: Tensor, *, kind: PartPoolingName = "gwap") -> Tensor:
    """Return one vector a part.

    Args:
        features: ``(B, E, C, h, w)``; for "gwap" also ``(B, 1, C, h, w)``, one map that the parts share.
        masks: ``(B, E, h, w)`` >= 0; "gap" and "gmp" do not look at them.
        kind: "gwap" is the mean weighted by the mask, which does not shrink small parts; "gap" and "gmp" are mean
            and maximum over all positions.

    Returns:
        ``(B, E, C)``.
    """
    if kind == "gap":
        return features.mean(dim=(3, 4))
    if kind == "gmp":
        return features.amax(dim=(3, 4))
    weights = masks.to(features.dtype)
    total = torch.einsum("bechw,behw->bec", features.expand(-1, masks.shape[1], -1, -1, -1), weights)
    return total / weights.sum(dim=(2, 3)).clamp(min=1e-6).unsqueeze(2)
