"""Compound batch erasing of SSGR: every batch once with random boxes erased, once with one stripe erased in all images.

It works on normalised images, where the fill 0 is the mean colour, and draws from torch's generator of their device.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor


def erase_boxes(images: Tensor, p: float = 0.5, fill: float = 0.0) -> Tensor:
    """Return images with a random box erased, as FastReID does (after Zhong et al., AAAI 2020, algorithm 1).

    The box covers 2 % to 33 % of the image at a ratio of height to width between 0.3 and 3.3; a draw that does not fit
    is repeated up to ten times.

    Args:
        images: ``(B, 3, H, W)`` normalised.
        p: probability that an image is changed.
        fill: value that is written.
    """
    batch, _, height, width = images.shape
    device = images.device
    area = torch.empty(batch, 10, device=device).uniform_(0.02, 0.33) * height * width
    ratio = torch.empty(batch, 10, device=device).uniform_(math.log(0.3), math.log(3.3)).exp()
    tall, wide = (area * ratio).sqrt().round(), (area / ratio).sqrt().round()
    fits = (tall < height) & (wide < width)
    first = fits.int().argmax(dim=1, keepdim=True)
    tall, wide = tall.gather(1, first), wide.gather(1, first)
    top = (torch.rand(batch, 1, device=device) * (height - tall + 1)).floor()
    left = (torch.rand(batch, 1, device=device) * (width - wide + 1)).floor()
    chosen = fits.any(dim=1, keepdim=True) & (torch.rand(batch, 1, device=device) < p)
    row, column = torch.arange(height, device=device), torch.arange(width, device=device)
    rows = (row >= top) & (row < top + tall) & chosen
    columns = (column >= left) & (column < left + wide)
    return images.masked_fill((rows[:, :, None] & columns[:, None, :])[:, None], fill)


def erase_stripe(images: Tensor, stripes: Sequence[int] = (6, 7, 8), p: float = 1.0, fill: float = 0.0) -> Tensor:
    """Return images with the same horizontal stripe erased in all of them: one draw for the whole batch.

    Args:
        images: ``(B, 3, H, W)`` normalised.
        stripes: numbers of stripes to draw from; one of the stripes is then drawn.
        p: probability that the batch is changed.
        fill: value that is written.
    """
    height, device = images.shape[2], images.device
    count = torch.tensor(stripes, device=device)[torch.randint(len(stripes), (), device=device)]
    stripe = (torch.rand((), device=device) * count).floor()
    row = torch.arange(height, device=device)
    top, bottom = (torch.div(edge * height, count, rounding_mode="floor") for edge in (stripe, stripe + 1))
    erased = (row >= top) & (row < bottom) & (torch.rand((), device=device) < p)
    return images.masked_fill(erased[:, None], fill)


def compound_erase(
    images: Tensor, box_p: float = 0.5, stripe_p: float = 1.0, stripes: Sequence[int] = (6, 7, 8), fill: float = 0.0
) -> Tensor:
    """Return ``(2 B, 3, H, W)``: the images with random boxes erased, then the same images with one stripe erased."""
    return torch.cat([erase_boxes(images, box_p, fill), erase_stripe(images, stripes, stripe_p, fill)])
