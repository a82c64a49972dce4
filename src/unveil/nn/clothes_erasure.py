"""Clothes-relevant erasure of CRE + BSGA (eq. 1): every crop once as it is, once with its clothes black."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from unveil.records import Batch


def append_without_clothes(
    batch: Batch, garments: Tensor, *, outfits: int | None = None, recoloured: float = 0.0
) -> Batch:
    """Return the M crops of a batch, then their M copies without clothes, which keep all labels.

    The copies are ``batch.erased``, erased before the crops were resized; a batch without is erased as it is.

    Args:
        batch: before augmentation: uint8, so that 0 is black.
        garments: ``(M, H, W)`` which garment a pixel shows, from 1 on; 0 where it shows none.
        outfits: number of outfits of the training set; the copies are then outfits of their own, their codes beginning
            at this number. ``None``: they have the outfits of their originals.
        recoloured: share of the copies whose garments get random colours (`recolour`) in place of black, which is ours;
            0 is the paper.
    """
    erased = batch.erased
    if erased is None:
        erased = batch.images.masked_fill((garments > 0)[:, None], 0)  # eq. 1
    copies = erased
    if recoloured:
        chosen = (torch.rand(len(garments)) < recoloured).to(garments.device)[:, None, None, None]
        # The rim that resizing mixes with the colours of a garment belongs to it; what is left of it stays black.
        rim = (erased != batch.images).any(dim=1) & (garments == 0)
        near = F.max_pool2d(garments[:, None].float(), 3, stride=1, padding=1)[:, 0].to(garments.dtype)
        garments = torch.where(rim, near, garments)
        copies = torch.where(chosen & (garments > 0)[:, None], recolour(batch.images, garments), erased)
    bare = batch.replace(erased=None)
    twice = bare.map(lambda tensor: torch.cat([tensor, tensor])).replace(images=torch.cat([batch.images, copies]))
    if outfits is not None and batch.clothes is not None:
        twice = twice.replace(clothes=torch.cat([batch.clothes, batch.clothes + outfits]))
    return twice


def recolour(images: Tensor, garments: Tensor) -> Tensor:
    """Return uint8 crops ``(M, 3, H, W)`` with every garment in one random colour; its light and folds stay.

    Black clothes teach to look elsewhere only where clothes are black; clothes of any colour teach that the colour says
    nothing. Shu et al. ("Semantic-guided pixel sampling", 2021) take other people's pixels for that.

    Args:
        images: uint8.
        garments: ``(M, H, W)`` which garment a pixel shows, from 1 on; 0 where it shows none.
    """
    light = images.float().mean(1, keepdim=True) / 255
    painted = images.float() / 255
    for garment in range(1, int(garments.max()) + 1):
        mask = (garments == garment)[:, None]
        mean = (light * mask).sum((1, 2, 3), keepdim=True) / mask.sum((1, 2, 3), keepdim=True).clamp(min=1)
        # Drawn on the CPU, so that the seed of a run holds on every kind of device. Dark colours are commoner.
        colour = (torch.rand(len(images), 3, 1, 1) ** 1.3).to(light.device)
        contrast = (0.3 + torch.rand(len(images), 1, 1, 1)).to(light.device)
        painted = torch.where(mask, colour * (0.6 + 0.6 * mean) + contrast * (light - mean), painted)
    return (painted.clamp(0, 1) * 255).round().to(images.dtype)
