"""What colours a person shows from head to foot: soft histograms of horizontal stripes, where the person is."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

HUES, SATURATIONS, VALUES = 8, 4, 4
STRIPES = 12
SIZE = (64, 32)  # that images are made small to: colours need no more
CENTRED = 0.3  # how many widths from the middle of the crop a pixel counts 1/e
BRIGHTNESS = 0.4  # that the person is brought to on average, as cameras expose differently
GAINS = (0.5, 2.5)  # that it may take
COLOURS = STRIPES * HUES * SATURATIONS * VALUES


def colour_histograms(images: Tensor, person: Tensor) -> Tensor:
    """Return the square roots of one HSV histogram a stripe, so that their products are Bhattacharyya coefficients.

    The person is brought to the same brightness first. A pixel counts for the stripes, hues, saturations and values
    next to it by how near it is, as far as it shows the person, and less towards the sides of the crop. Stripes overlap
    by half.

    Args:
        images: ``(B, 3, H, W)`` RGB in [0, 1].
        person: ``(B, 1, h, w)`` in (0, 1]: how sure it is that the person is there.

    Returns:
        ``(B, COLOURS)``, one stripe after the other from the top; of length 1 where all of them show something.
    """
    height, width = SIZE
    small = F.interpolate(images, SIZE, mode="area")
    there = F.interpolate(person, SIZE, mode="bilinear", align_corners=False)
    brightness = (small.mean(1, keepdim=True) * there).sum((2, 3), keepdim=True) / there.sum(
        (2, 3), keepdim=True
    ).clamp(min=1e-6)
    hue, saturation, value = _hsv((small * (BRIGHTNESS / brightness.clamp(min=1e-6)).clamp(*GAINS)).clamp(max=1))
    rows = torch.arange(height, device=images.device).to(images.dtype)
    columns = torch.arange(width, device=images.device).to(images.dtype)
    middles = (torch.arange(STRIPES, device=images.device) + 0.5) * height / STRIPES
    stripes = (1 - (rows - middles[:, None]).abs() * STRIPES / height).clamp(min=0)[None, :, :, None]
    centred = torch.exp(-(((columns - (width - 1) / 2) / (CENTRED * width)) ** 2))
    weights = there * stripes * centred
    # Two factors of the joint histogram, as all of it for each pixel would be large.
    left = (weights.unsqueeze(2) * _shares(value, VALUES).unsqueeze(1)).flatten(3).flatten(1, 2)
    right = (_shares(hue, HUES, circular=True).unsqueeze(2) * _shares(saturation, SATURATIONS).unsqueeze(1)).flatten(3)
    counts = (left @ right.flatten(1, 2).transpose(1, 2)).unflatten(1, (STRIPES, VALUES)).flatten(2)
    return (counts / counts.sum(dim=2, keepdim=True).clamp(min=1e-6) / STRIPES).sqrt().flatten(1)


def _hsv(images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return hue, saturation and value ``(B, H, W)`` in [0, 1]."""
    red, green, blue = images.unbind(1)
    value, spread = images.amax(1), images.amax(1) - images.amin(1)
    safe = spread.clamp(min=1e-6)
    at_red, at_green, at_blue = (green - blue) / safe, (blue - red) / safe + 2, (red - green) / safe + 4
    hue = torch.where(red == value, at_red, torch.where(green == value, at_green, at_blue)) / 6
    return hue - hue.floor(), spread / value.clamp(min=1e-6), value


def _shares(x: Tensor, count: int, *, circular: bool = False) -> Tensor:
    """Return how much of each value falls into ``count`` bins ``(B, count, H, W)``: linear between their centres."""
    steps = count if circular else count - 1
    away = (x.unsqueeze(1) * steps - torch.arange(count, device=x.device).to(x.dtype)[None, :, None, None]).abs()
    if circular:
        away = torch.minimum(away, count - away)
    return (1 - away).clamp(min=0)
