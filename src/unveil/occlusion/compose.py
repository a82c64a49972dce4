"""What every style of occlusion returns, how it is laid over an image, and how much of the person it occludes."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Mask = NDArray[np.float32]
Labels = NDArray[np.uint8]


@dataclass(frozen=True)
class Occlusion:
    """What occludes an image.

    Args:
        mask: ``(H, W)`` in [0, 1], 1 = occluded.
        what: the component, shape or key of what occludes it; a reason when nothing does.
        layer: ``(H, W, 3)`` uint8 drawn where the mask is 1; ``None`` draws black.
        kernel: side of a cell in pixels, 0 where there are none.
        cells: cells that are on.
    """

    mask: Mask
    what: str
    layer: Image | None = None
    kernel: int = 0
    cells: int = 0

    @property
    def empty(self) -> bool:
        """Whether the image stays as it is."""
        return not self.mask.any()


def keyed_rng(seed: int, key: str) -> np.random.Generator:
    """Return a generator that depends on the seed and the image's relative path alone, so order changes nothing."""
    digest = hashlib.sha256(f"{seed}/{key}".encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:16], "big"))


def fuse(image: Image, occlusion: Occlusion) -> Image:
    """Return ``x * (1 - mask) + layer * mask`` (OC4-ReID eq. 1), uint8."""
    mask = occlusion.mask[..., None]
    occluded = image * (1 - mask)
    if occlusion.layer is not None:
        occluded = occluded + occlusion.layer * mask
    return np.rint(occluded).astype(np.uint8)


def nothing(size: tuple[int, int], why: str) -> Occlusion:
    """Return an occlusion that occludes nothing of an image of (H, W)."""
    return Occlusion(np.zeros(size, np.float32), why)


def person_weight(size: tuple[int, int], labels: Labels | None) -> Mask:
    """Return ``(H, W)`` weights that sum to 1: the person's pixels alike, or all pixels when none is known."""
    weight = (labels > 0).astype(np.float32) if labels is not None else np.zeros(size, np.float32)
    if not weight.any():
        weight = np.ones(size, np.float32)
    return weight / weight.sum()


def occluded_fraction(mask: Mask, weight: Mask) -> float:
    """Return how much of a weight that sums to 1 is occluded, in [0, 1]."""
    return float(min(1.0, (mask * weight).sum()))
