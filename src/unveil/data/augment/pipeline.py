"""From a uint8 batch to what the network sees: random changes for training, normalisation for both."""

from __future__ import annotations

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from unveil.data.augment.autoaugment import autoaugment
from unveil.data.augment.background import swap_background
from unveil.data.augment.colour import jitter
from unveil.data.augment.erasing import ERASING, coarse_dropout, erase
from unveil.data.augment.geometry import affine_crop, flip, pad_crop, scale_crop
from unveil.data.augment.sensor import sensor
from unveil.recipe import AugmentSettings, InputSettings
from unveil.records import Batch


def augment(
    batch: Batch,
    settings: AugmentSettings,
    *,
    size: InputSettings,
    generator: torch.Generator,
    scheme: str | None = None,
) -> Batch:
    """Change a training batch at random and normalise it.

    In this order: background, AutoAugment, crop, mirror, colours, sensor, normalisation, erasing, coarse dropout.
    Image and parsing map move together; the same state of the generator gives the same batch.

    Args:
        batch: uint8 images, at the size of the network.
        settings: what to do, and how often.
        size: mean, standard deviation and interpolation.
        generator: on the device of the batch.
        scheme: label set of the parsing maps, whose left and right labels trade places in a mirror.

    Returns:
        The batch with normalised float images.

    Raises:
        DataError: parsing maps of an unknown label set would be mirrored.
    """
    if settings.background:
        batch = swap_background(batch, settings.background, generator=generator)
    if settings.autoaugment:
        batch = autoaugment(batch, settings.autoaugment, generator=generator)
    if settings.crop == "pad":
        batch = pad_crop(batch, generator)
    elif settings.crop == "scale":
        batch = scale_crop(batch, generator, interpolation=size.interpolation)
    elif settings.crop == "affine":
        batch = affine_crop(batch, generator)
    if settings.flip:
        batch = flip(batch, generator, p=settings.flip, scheme=scheme)
    if settings.brightness or settings.contrast or settings.saturation:
        images = jitter(
            batch.images.float(),
            settings.brightness,
            contrast=settings.contrast,
            saturation=settings.saturation,
            generator=generator,
        )
        batch = batch.replace(images=images)
    if settings.sensor:
        changed = sensor(batch.images.float() / 255, settings.sensor, generator=generator)
        batch = batch.replace(images=changed.mul_(255))
    batch = normalise(batch, size)
    if settings.erase != "none":
        batch = erase(batch, ERASING[settings.erase], p=settings.erase_p, generator=generator)
    if settings.coarse_dropout:
        batch = coarse_dropout(batch, settings.coarse_dropout, generator=generator)
    return batch


def shrink(batch: Batch, scale: float) -> Batch:
    """Return a uint8 batch at a share of its height and width, rounded to whole 32 pixels; maps with it."""
    height, width = (max(32, round(n * scale / 32) * 32) for n in batch.images.shape[2:])
    both = [batch.images] if batch.erased is None else [batch.images, batch.erased]
    resized = partial(F.interpolate, mode="bilinear", antialias=True) if batch.images.is_cpu else _in_floats
    small = [resized(x, (height, width)) for x in both]
    maps = batch.parsing
    if maps is not None:
        maps = F.interpolate(maps.unsqueeze(1), (height, width), mode="nearest-exact").squeeze(1)
    return batch.replace(images=small[0], parsing=maps, erased=small[1] if len(small) > 1 else None)


def _in_floats(images: Tensor, size: tuple[int, int]) -> Tensor:
    """Return uint8 images resized as floats: kernels of GPUs that average pixels take nothing else."""
    return F.interpolate(images.float(), size, mode="bilinear", antialias=True).round_().clamp_(0, 255).byte()


def normalise(batch: Batch, size: InputSettings) -> Batch:
    """Turn images in [0, 255] into float, normalised by mean and standard deviation of the input settings."""
    images = batch.images.to(torch.float32, copy=True)
    std = images.new_tensor(size.std)[:, None, None]
    mean = images.new_tensor(size.mean)[:, None, None]
    # (x / 255 - mean) / std, in place on the copy: fresh memory costs more than the arithmetic.
    return batch.replace(images=images.mul_(1 / (255 * std)).sub_(mean / std))
