"""Random crop, mirror, rotation and shear of a batch: image and parsing map by the same parameters."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from unveil.data.images import Interpolation
from unveil.errors import DataError
from unveil.label_sets import SCHEMES
from unveil.records import Batch

SCALE = 1.125
PADDING = 10
GREY = 128
# Of `affine_crop`: what is sampled, as a share of the image, its width over its height, and its offset in half images.
ZOOM, STRETCH, SHIFT = (0.82, 1.12), (0.92, 1.08), 0.1


def pad_crop(batch: Batch, generator: torch.Generator, *, padding: int = PADDING) -> Batch:
    """Pad with black (label 0) on all sides and crop a random window of the old size."""
    images = F.pad(batch.images, (padding,) * 4)
    parsing = None if batch.parsing is None else F.pad(batch.parsing, (padding,) * 4)
    top, left = (_integers(len(batch), 2 * padding, generator=generator) for _ in range(2))
    height, width = batch.images.shape[2:]
    return batch.replace(
        images=_windows(images, top, left=left, height=height, width=width),
        parsing=_maps(parsing, top, left=left, height=height, width=width),
    )


def scale_crop(
    batch: Batch, generator: torch.Generator, *, p: float = 0.5, interpolation: Interpolation = "bilinear"
) -> Batch:
    """Enlarge by 1.125 and crop a random window of the old size, each image with probability ``p``."""
    height, width = batch.images.shape[2:]
    big = (round(SCALE * height), round(SCALE * width))
    chosen = torch.rand(len(batch), generator=generator, device=generator.device) < p
    top, left = (
        _integers(len(batch), b - s, generator=generator)[chosen] for b, s in zip(big, (height, width), strict=True)
    )
    if not len(top):
        return batch
    enlarged = F.interpolate(batch.images[chosen].float(), big, mode=interpolation, antialias=True)
    images = batch.images.clone()
    images[chosen] = _windows(enlarged.round_().clamp_(0, 255).byte(), top, left=left, height=height, width=width)
    if batch.parsing is None:
        return batch.replace(images=images)
    parsing = batch.parsing.clone()
    maps = F.interpolate(parsing[chosen].unsqueeze(1), big, mode="nearest-exact").squeeze(1)
    parsing[chosen] = _windows(maps.unsqueeze(1), top, left=left, height=height, width=width).squeeze(1)
    return batch.replace(images=images, parsing=parsing)


def affine_crop(batch: Batch, generator: torch.Generator) -> Batch:
    """Scale, stretch and shift every image a little, as the boxes of detectors do; the border is repeated.

    The map moves with the image; what comes in from outside has label 0.
    """
    count = len(batch)

    def uniform(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(count, generator=generator, device=generator.device)

    scale = uniform(*ZOOM)
    matrix = torch.zeros(count, 2, 3, device=generator.device)
    matrix[:, 0, 0], matrix[:, 1, 1] = scale * uniform(*STRETCH), scale
    matrix[:, 0, 2], matrix[:, 1, 2] = uniform(-SHIFT, SHIFT), uniform(-SHIFT, SHIFT)
    grid = F.affine_grid(matrix, [count, 3, *batch.images.shape[2:]], align_corners=False)
    moved = F.grid_sample(batch.images.float(), grid, padding_mode="border", align_corners=False)
    images = moved.round_().clamp_(0, 255).byte()
    if batch.parsing is None:
        return batch.replace(images=images)
    maps = F.grid_sample(batch.parsing.unsqueeze(1).float(), grid, mode="nearest", align_corners=False)
    return batch.replace(images=images, parsing=maps.squeeze(1).byte())


def flip(batch: Batch, generator: torch.Generator, *, p: float = 0.5, scheme: str | None = None) -> Batch:
    """Mirror each image with probability ``p``; left and right labels of its parsing map trade places."""
    chosen = torch.rand(len(batch), generator=generator, device=generator.device) < p
    images = torch.where(chosen[:, None, None, None], batch.images.flip(3), batch.images)
    if batch.parsing is None:
        return batch.replace(images=images)
    mirrored = mirror_labels(batch.parsing, scheme)
    return batch.replace(images=images, parsing=torch.where(chosen[:, None, None], mirrored, batch.parsing))


def mirror_labels(parsing: Tensor, scheme: str | None) -> Tensor:
    """Mirror ``(B, H, W)`` labels so that left stays the person's left.

    Raises:
        DataError: the label set is unknown, so its left and right labels are too.
    """
    if scheme is None or scheme not in SCHEMES:
        known = ", ".join(sorted(SCHEMES))
        raise DataError(f"parsing maps of label set {scheme!r} cannot be mirrored; known: {known}")
    table = torch.from_numpy(SCHEMES[scheme].flip_table).to(parsing.device)
    return table[parsing.flip(2).long()]


def affine(image: Tensor, parsing: Tensor | None, *, matrix: Tensor) -> tuple[Tensor, Tensor | None]:
    """Move one image and its map; what comes in from outside is grey, label 0.

    Args:
        image: ``(3, H, W)`` uint8.
        parsing: ``(H, W)`` uint8, or ``None``.
        matrix: ``(2, 2)``, from output to input pixels (x, y) about the centre.
    """
    height, width = image.shape[1:]
    y = torch.arange(height, device=image.device, dtype=torch.float32) - (height - 1) / 2
    x = torch.arange(width, device=image.device, dtype=torch.float32) - (width - 1) / 2
    matrix = matrix.to(image.device)
    source_x = matrix[0, 0] * x[None, :] + matrix[0, 1] * y[:, None]
    source_y = matrix[1, 0] * x[None, :] + matrix[1, 1] * y[:, None]
    grid = torch.stack([source_x * 2 / width, source_y * 2 / height], dim=-1)[None]
    shifted = image[None].float() - GREY  # grid_sample fills with 0
    moved = F.grid_sample(shifted, grid, mode="bilinear", padding_mode="zeros", align_corners=False)[0] + GREY
    labels = None
    if parsing is not None:
        maps = F.grid_sample(
            parsing[None, None].float(), grid, mode="nearest", padding_mode="zeros", align_corners=False
        )
        labels = maps[0, 0].byte()
    return moved.round_().clamp_(0, 255).byte(), labels


def _integers(count: int, largest: int, *, generator: torch.Generator) -> Tensor:
    return torch.randint(largest + 1, (count,), generator=generator, device=generator.device)


def _windows(images: Tensor, top: Tensor, *, left: Tensor, height: int, width: int) -> Tensor:
    """Cut a window ``height x width`` from each image ``(B, C, H, W)``, channels-last in memory."""
    last = images.permute(0, 2, 3, 1)
    corners = zip(top.tolist(), left.tolist(), strict=True)
    # Slices and one stack: many times faster than one gather of single pixels.
    cut = [last[i, y : y + height, x : x + width] for i, (y, x) in enumerate(corners)]
    return torch.stack(cut).permute(0, 3, 1, 2)


def _maps(parsing: Tensor | None, top: Tensor, *, left: Tensor, height: int, width: int) -> Tensor | None:
    return (
        None
        if parsing is None
        else _windows(parsing.unsqueeze(1), top, left=left, height=height, width=width).squeeze(1)
    )
