"""The ImageNet policy of AutoAugment (Cubuk et al., CVPR 2019, table 9), on uint8 tensors."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from torch.nn import functional as F

from unveil.data.augment.colour import blend, grey, mean_grey
from unveil.data.augment.geometry import affine
from unveil.records import Batch

# (operation, probability, magnitude of 0 to 9) twice a sub-policy, in the order of the table.
_TABLE = """
Posterize .4 8 Rotate .6 9       | Solarize .6 5 AutoContrast .6 5 | Equalize .8 8 Equalize .6 3
Posterize .6 7 Posterize .6 6    | Equalize .4 7 Solarize .2 4     | Equalize .4 4 Rotate .8 8
Solarize .6 3 Equalize .6 7      | Posterize .8 5 Equalize 1 2     | Rotate .2 3 Solarize .6 8
Equalize .6 8 Posterize .4 6     | Rotate .8 8 Color .4 0          | Rotate .4 9 Equalize .6 2
Equalize 0 7 Equalize .8 8       | Invert .6 4 Equalize 1 8        | Color .6 4 Contrast 1 8
Rotate .8 8 Color 1 2            | Color .8 8 Solarize .8 7        | Sharpness .4 7 Invert .6 8
ShearX .6 5 Equalize 1 9         | Color .4 0 Equalize .6 3        | Equalize .4 7 Solarize .2 4
Solarize .6 5 AutoContrast .6 5  | Invert .6 4 Equalize 1 8        | Color .6 4 Contrast 1 8
Equalize .8 8 Equalize .6 3
"""
Step = tuple[str, float, int]


def _parse(text: str) -> tuple[Step, Step]:
    words = text.split()
    first, second = ((words[i], float(words[i + 1]), int(words[i + 2])) for i in (0, 3))
    return first, second


POLICY = tuple(_parse(entry) for line in _TABLE.split("\n") for entry in line.split("|") if entry.strip())


def autoaugment(batch: Batch, p: float, *, generator: torch.Generator) -> Batch:
    """Apply a random sub-policy to each uint8 image with probability ``p``; parsing maps turn and shear with it."""
    # Per image: apply at all, which sub-policy, then twice (apply the step, sign of its magnitude).
    draws = torch.rand(len(batch), 6, generator=generator, device=generator.device).tolist()
    chosen = [i for i, draw in enumerate(draws) if draw[0] < p]
    if not chosen:
        return batch
    images = batch.images.clone()
    parsing = None if batch.parsing is None else batch.parsing.clone()
    for i in chosen:
        image, labels = images[i], None if parsing is None else parsing[i]
        for step, (apply, sign) in zip(
            POLICY[int(draws[i][1] * len(POLICY))], (draws[i][2:4], draws[i][4:6]), strict=True
        ):
            name, probability, magnitude = step
            if apply < probability:
                image, labels = _apply(image, labels, name=name, level=magnitude, sign=1 if sign < 0.5 else -1)
        images[i] = image
        if parsing is not None and labels is not None:
            parsing[i] = labels
    return batch.replace(images=images, parsing=parsing)


def _apply(image: Tensor, labels: Tensor | None, *, name: str, level: int, sign: int) -> tuple[Tensor, Tensor | None]:
    if name == "Rotate":
        angle = math.radians(sign * 30 * level / 9)
        cos, sin = math.cos(angle), math.sin(angle)
        return affine(image, labels, matrix=torch.tensor([[cos, -sin], [sin, cos]]))
    if name == "ShearX":
        return affine(image, labels, matrix=torch.tensor([[1, sign * 0.3 * level / 9], [0, 1]]))
    return _COLOURS[name](image, level, sign), labels


def posterize(image: Tensor, level: int, sign: int = 1) -> Tensor:
    """Keep the 8 to 4 highest bits."""
    dropped = round(level * 4 / 9)
    return image >> dropped << dropped


def solarize(image: Tensor, level: int, sign: int = 1) -> Tensor:
    """Invert what is at least a threshold, from 256 (nothing) to 0 (everything)."""
    return torch.where(image >= 256 - 256 * level / 9, 255 - image, image)


def invert(image: Tensor, level: int = 0, sign: int = 1) -> Tensor:
    """Return the negative."""
    return 255 - image


def auto_contrast(image: Tensor, level: int = 0, sign: int = 1) -> Tensor:
    """Stretch each channel to [0, 255]; a flat channel stays."""
    low, high = image.amin(dim=(1, 2), keepdim=True).float(), image.amax(dim=(1, 2), keepdim=True).float()
    scale = torch.where(high > low, 255 / (high - low).clamp(min=1), torch.ones_like(low))
    return torch.where(high > low, ((image - low) * scale).round().clamp(0, 255).byte(), image)


def equalize(image: Tensor, level: int = 0, sign: int = 1) -> Tensor:
    """Equalise the histogram of each channel; a flat channel stays."""
    return torch.stack([_equalize(channel) for channel in image])


def color(image: Tensor, level: int, sign: int = 1) -> Tensor:
    """Move towards grey, or away from it."""
    pixels = image.float()
    return blend(pixels, grey(pixels), factor=_factor(level, sign)).round().byte()


def contrast(image: Tensor, level: int, sign: int = 1) -> Tensor:
    """Move towards the mean grey, or away from it."""
    pixels = image.float()
    return blend(pixels, mean_grey(pixels).round(), factor=_factor(level, sign)).round().byte()


def sharpness(image: Tensor, level: int, sign: int = 1) -> Tensor:
    """Move towards a blur, or away from it; the border stays."""
    kernel = torch.ones(3, 1, 3, 3, device=image.device)
    kernel[..., 1, 1] = 5
    pixels = image.float()
    blurred = pixels.clone()
    blurred[:, 1:-1, 1:-1] = F.conv2d(pixels[None], kernel / 13, groups=3)[0].round()
    return blend(pixels, blurred, factor=_factor(level, sign)).round().byte()


def _factor(level: int, sign: int) -> float:
    return 1 + sign * 0.9 * level / 9


def _equalize(channel: Tensor) -> Tensor:
    values = channel.reshape(-1).long()
    histogram = torch.bincount(values, minlength=256)
    highest = values.max()
    step = (len(values) - histogram[highest]) // 255
    below = histogram.cumsum(0) - histogram
    table = ((below + step // 2) // step.clamp(min=1)).clamp(max=255).byte()
    return torch.where(step > 0, table[values].reshape(channel.shape), channel)


_COLOURS: Mapping[str, Callable[[Tensor, int, int], Tensor]] = {
    "Posterize": posterize,
    "Solarize": solarize,
    "Invert": invert,
    "AutoContrast": auto_contrast,
    "Equalize": equalize,
    "Color": color,
    "Contrast": contrast,
    "Sharpness": sharpness,
}
