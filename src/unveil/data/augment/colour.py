"""Changes of brightness, contrast and saturation: blends of an image with black, its mean grey, its grey."""

from __future__ import annotations

import torch
from torch import Tensor

LUMA = (0.299, 0.587, 0.114)


def jitter(
    images: Tensor, brightness: float, *, contrast: float, saturation: float, generator: torch.Generator
) -> Tensor:
    """Change brightness, contrast and saturation of each image by factors drawn from [1 - x, 1 + x].

    Args:
        images: ``(B, 3, H, W)`` float in [0, 255].
        brightness, contrast, saturation: x of each, in [0, 1]; 0 leaves it.
        generator: on the device of the images.
    """
    for amount, base in ((brightness, _black), (contrast, mean_grey), (saturation, grey)):
        if amount:
            drawn = torch.rand(len(images), 1, 1, 1, generator=generator, device=generator.device)
            images = blend(images, base(images), factor=1 - amount + 2 * amount * drawn)
    return images


def blend(images: Tensor, base: Tensor, *, factor: Tensor | float) -> Tensor:
    """Return ``base + factor * (images - base)`` within [0, 255]: 0 gives the base, 1 the images."""
    return (base + factor * (images - base)).clamp_(0, 255)


def grey(images: Tensor) -> Tensor:
    """Return the luma ``(..., 1, H, W)`` of RGB images ``(..., 3, H, W)``."""
    red, green, blue = images.unbind(-3)
    return (LUMA[0] * red + LUMA[1] * green + LUMA[2] * blue).unsqueeze(-3)


def mean_grey(images: Tensor) -> Tensor:
    """Return the mean luma ``(..., 1, 1, 1)`` of RGB images."""
    return grey(images).mean(dim=(-3, -2, -1), keepdim=True)


def _black(images: Tensor) -> Tensor:
    return torch.zeros_like(images)
