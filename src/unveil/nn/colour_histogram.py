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


def colour_histograms(images: Tensor, person: Tensor, *, mean: Tensor, std: Tensor) -> Tensor:
    """Return the square roots of one HSV histogram a stripe, so that their products are Bhattacharyya coefficients.

    The person is brought to the same brightness first. A pixel counts for the stripes, hues, saturations and values
    next to it by how near it is, as far as it shows the person, and less towards the sides of the crop. Stripes overlap
    by half.

    Args:
        images: ``(B, 3, H, W)`` RGB, normalised: less ``mean``, by ``std``, of each channel.
        person: ``(B, 1, h, w)`` in (0, 1]: how sure it is that the person is there.
        mean, std: ``(3,)``, of values in [0, 1].

    Returns:
        ``(B, COLOURS)``, one stripe after the other from the top; of length 1 where all of them show something.
    """
    height, width = SIZE
    small = (_shrunk(images) * std[:, None, None] + mean[:, None, None]).clamp(0, 1)
    there = F.interpolate(person, SIZE, mode="bilinear", align_corners=False).squeeze(1)
    brightness = (small.mean(1) * there).sum((1, 2)) / there.sum((1, 2)).clamp(min=1e-6)
    gain = (BRIGHTNESS / brightness.clamp(min=1e-6)).clamp(*GAINS)
    hue, saturation, value = _hsv((small * gain[:, None, None, None]).clamp(max=1))
    rows = torch.arange(height, device=images.device).to(images.dtype)
    columns = torch.arange(width, device=images.device).to(images.dtype)
    middles = (torch.arange(STRIPES, device=images.device) + 0.5) * height / STRIPES
    stripes = (1 - (rows - middles[:, None]).abs() * STRIPES / height).clamp(min=0)
    centred = torch.exp(-(((columns - (width - 1) / 2) / (CENTRED * width)) ** 2))
    # Two factors of the joint histogram of each row, as all of it for each pixel would be large; then rows to stripes.
    left = (there * centred).unsqueeze(2) * _shares(value, VALUES)
    right = _shares(hue, HUES, circular=True).unsqueeze(3) * _shares(saturation, SATURATIONS).unsqueeze(2)
    counts = stripes @ (left @ right.flatten(2, 3).transpose(2, 3)).flatten(2)
    return (counts / counts.sum(dim=2, keepdim=True).clamp(min=1e-6) / STRIPES).sqrt().flatten(1)


def _shrunk(images: Tensor) -> Tensor:
    """Return images of `SIZE`, each pixel the mean of the area it stands for."""
    if images.shape[2] % SIZE[0] or images.shape[3] % SIZE[1]:
        return F.interpolate(images, SIZE, mode="area")
    # The same, rows first: runtimes take half of the time that they pool three channels in.
    return images.unflatten(2, (SIZE[0], -1)).mean(3).unflatten(3, (SIZE[1], -1)).mean(4)


def _hsv(images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return hue, saturation and value ``(B, H, W)`` in [0, 1]."""
    red, green, blue = images.unbind(1)
    value = torch.maximum(torch.maximum(red, green), blue)
    spread = value - torch.minimum(torch.minimum(red, green), blue)
    safe = spread.clamp(min=1e-6)
    at_red, at_green, at_blue = (green - blue) / safe, (blue - red) / safe + 2, (red - green) / safe + 4
    hue = torch.where(red == value, at_red, torch.where(green == value, at_green, at_blue)) / 6
    return hue - hue.floor(), spread / value.clamp(min=1e-6), value


def _shares(x: Tensor, count: int, *, circular: bool = False) -> Tensor:
    """Return how much of each value falls into ``count`` bins ``(B, H, count, W)``: linear between their centres."""
    steps = count if circular else count - 1
    away = (x.unsqueeze(2) * steps - torch.arange(count, device=x.device).to(x.dtype)[:, None]).abs()
    if circular:
        away = torch.minimum(away, count - away)
    return (1 - away).clamp(min=0)
