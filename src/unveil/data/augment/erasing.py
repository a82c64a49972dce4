"""Random rectangles over normalised images: random erasing (Zhong et al., AAAI 2020) and coarse dropout."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from unveil.records import Batch

Fill = tuple[float, float, float]
IMAGENET_MEAN: Fill = (0.485, 0.456, 0.406)
DROPOUT_SIDES = (0.15, 0.65)


@dataclass(frozen=True)
class Erasing:
    """A variant of random erasing.

    Args:
        area: smallest and largest share of the image.
        aspect: smallest and largest height / width.
        log_aspect: draw the logarithm of the aspect uniformly instead of the aspect.
        attempts: draws until a rectangle fits; none is erased after that.
        fill: RGB written after normalisation.
    """

    area: tuple[float, float]
    aspect: tuple[float, float]
    log_aspect: bool
    attempts: int
    fill: Fill


ERASING: dict[Literal["cal", "bot", "fastreid"], Erasing] = {
    "cal": Erasing((0.02, 0.4), (0.3, 1 / 0.3), log_aspect=False, attempts=100, fill=(0.4914, 0.4822, 0.4465)),
    "bot": Erasing((0.02, 0.4), (0.3, 1 / 0.3), log_aspect=False, attempts=100, fill=IMAGENET_MEAN),
    # FastReID fills with the pixel mean before normalisation, which is 0 after it.
    "fastreid": Erasing((0.02, 0.33), (0.3, 3.3), log_aspect=True, attempts=10, fill=(0.0, 0.0, 0.0)),
}


def erase(batch: Batch, variant: Erasing, *, p: float, generator: torch.Generator) -> Batch:
    """Erase a rectangle of each normalised image with probability ``p``; parsing maps stay as they are."""
    count, (height, width) = len(batch), batch.images.shape[2:]
    chosen = _uniform((count,), 0, high=1, generator=generator) < p
    least, most = variant.area
    area = _uniform((count, variant.attempts), least, high=most, generator=generator) * (height * width)
    low, high = variant.aspect
    if variant.log_aspect:
        aspect = _uniform((count, variant.attempts), math.log(low), high=math.log(high), generator=generator).exp()
    else:
        aspect = _uniform((count, variant.attempts), low, high=high, generator=generator)
    tall, wide = (area * aspect).sqrt().round().long(), (area / aspect).sqrt().round().long()
    fits = (tall < height) & (wide < width)
    first = fits.to(torch.uint8).argmax(dim=1, keepdim=True)
    tall, wide = tall.gather(1, first).squeeze(1), wide.gather(1, first).squeeze(1)
    hole = (
        _holes(tall, wide, height=height, width=width, generator=generator) & (chosen & fits.any(dim=1))[:, None, None]
    )
    return batch.replace(images=_filled(batch.images, hole, fill=variant.fill))


def coarse_dropout(batch: Batch, p: float, *, generator: torch.Generator) -> Batch:
    """Cut one hole in each normalised image with probability ``p``; the parsing map is background (0) inside."""
    count, (height, width) = len(batch), batch.images.shape[2:]
    chosen = _uniform((count,), 0, high=1, generator=generator) < p
    low, high = DROPOUT_SIDES
    tall = (_uniform((count,), low, high=high, generator=generator) * height).round().long()
    wide = (_uniform((count,), low, high=high, generator=generator) * width).round().long()
    hole = _holes(tall, wide, height=height, width=width, generator=generator) & chosen[:, None, None]
    parsing = None if batch.parsing is None else batch.parsing.masked_fill(hole, 0)
    return batch.replace(images=_filled(batch.images, hole, fill=IMAGENET_MEAN), parsing=parsing)


def _holes(tall: Tensor, wide: Tensor, *, height: int, width: int, generator: torch.Generator) -> Tensor:
    """Return ``(B, H, W)`` masks of rectangles at uniformly drawn places inside the image."""
    count = (len(tall),)
    top = (_uniform(count, 0, high=1, generator=generator) * (height - tall + 1)).long()
    left = (_uniform(count, 0, high=1, generator=generator) * (width - wide + 1)).long()
    y = torch.arange(height, device=tall.device)
    x = torch.arange(width, device=tall.device)
    rows = (y >= top[:, None]) & (y < (top + tall)[:, None])
    columns = (x >= left[:, None]) & (x < (left + wide)[:, None])
    return rows[:, :, None] & columns[:, None, :]


def _filled(images: Tensor, hole: Tensor, *, fill: Fill) -> Tensor:
    return torch.where(hole[:, None], images.new_tensor(fill)[:, None, None], images)


def _uniform(shape: tuple[int, ...], low: float, *, high: float, generator: torch.Generator) -> Tensor:
    return low + (high - low) * torch.rand(shape, generator=generator, device=generator.device)
