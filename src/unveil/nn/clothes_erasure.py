"""Clothes-relevant erasure of CRE + BSGA (eq. 1): every crop once as it is, once with its clothes black."""

from __future__ import annotations

import torch
from torch import Tensor

from unveil.records import Batch


def append_without_clothes(batch: Batch, worn: Tensor, outfits: int | None = None) -> Batch:
    """Return the M crops of a batch, then their M copies without clothes, which keep all labels.

    Args:
        batch: before normalisation, so that 0 is black.
        worn: ``(M, H, W)`` bool, where the clothes are.
        outfits: number of outfits of the training set; the copies are then outfits of their own, their codes beginning
            at this number. ``None``: they have the outfits of their originals.
    """
    erased = batch.images.masked_fill(worn[:, None], 0)  # eq. 1
    twice = batch.map(lambda tensor: torch.cat([tensor, tensor])).replace(images=torch.cat([batch.images, erased]))
    if outfits is not None and batch.clothes is not None:
        twice = twice.replace(clothes=torch.cat([batch.clothes, batch.clothes + outfits]))
    return twice
