"""Compound batch erasing of SSGR: every batch once with random boxes erased, once with one stripe erased in all images.

It works on normalised images, where FastReID's fill 0 is the mean colour.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import torch
from torch import Tensor

from unveil.data.augment.erasing import ERASING, erase
from unveil.records import Batch


def erase_boxes(
    batch: Batch,
    generator: torch.Generator,
    *,
    p: float = 0.5,
    fill: float = 0.0,
    area: tuple[float, float] = (0.02, 0.4),
) -> Batch:
    """Return the batch with a random box erased in each image with probability ``p``.

    Args:
        batch: normalised.
        generator: on the device of the images.
        p: probability.
        fill: value that is written.
        area: smallest and largest share of the image: by default that of random erasing (Zhong et al., AAAI 2020).
    """
    variant = dataclasses.replace(ERASING["fastreid"], area=area, fill=(fill, fill, fill))
    return erase(batch, variant, p=p, generator=generator)


def erase_stripe(
    images: Tensor, generator: torch.Generator, *, stripes: Sequence[int] = (6, 7, 8), p: float = 1.0, fill: float = 0.0
) -> Tensor:
    """Return images with the same horizontal stripe erased in all of them: one draw for the whole batch.

    Args:
        images: ``(B, 3, H, W)`` normalised.
        generator: on the device of the images.
        stripes: into how many stripes an image may be cut; one number and one of its stripes is drawn.
        p: probability that the batch is changed.
        fill: value that is written.
    """
    height, device = images.shape[2], images.device
    which, where, whether = torch.rand(3, generator=generator, device=device)
    count = torch.tensor(stripes, device=device)[(which * len(stripes)).long()]
    stripe = (where * count).long()
    row = torch.arange(height, device=device)
    top, bottom = stripe * height // count, (stripe + 1) * height // count
    erased = (row >= top) & (row < bottom) & (whether < p)
    return images.masked_fill(erased[:, None], fill)


def compound_erase(
    batch: Batch,
    generator: torch.Generator,
    *,
    box_p: float = 0.5,
    stripe_p: float = 1.0,
    fill: float = 0.0,
    box_area: tuple[float, float] = (0.02, 0.4),
) -> Batch:
    """Return 2 B images with their labels: those with random boxes erased, then the same with one stripe erased.

    Parsing maps, where there are any, are background (0) wherever a pixel was erased.
    """
    boxes = erase_boxes(batch, generator, p=box_p, fill=fill, area=box_area).images
    stripe = erase_stripe(batch.images, generator, p=stripe_p, fill=fill)
    twice = batch.map(lambda tensor: torch.cat([tensor, tensor]))
    erased = torch.cat([boxes, stripe])
    if twice.parsing is not None:
        occluded = (erased != twice.images).any(dim=1)
        twice = twice.replace(parsing=twice.parsing.masked_fill(occluded, 0))
    return twice.replace(images=erased)
