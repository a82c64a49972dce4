"""How an image comes to the size that a model takes: stretched, or with its aspect kept and the rest padded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from unveil.data.images import resize, resize_labels
from unveil.recipe import InputSettings

Fit = Literal["stretch", "corner", "centre"]
Filter = Literal["bilinear", "bicubic", "linear", "area"]
Image = NDArray[np.uint8]


@dataclass(frozen=True)
class CropSize:
    """Size in pixels, and how an image is brought to it.

    Args:
        height: pixels.
        width: pixels.
        interpolation: "bilinear" and "bicubic" antialias when they shrink; "linear" does not; "area" averages where the
            height shrinks by more than two and is linear otherwise.
        fit: "stretch" to the size; "corner" keeps the aspect and pads right and below; "centre" pads all around.
        pad: value of padded pixels, 0..255.
    """

    height: int
    width: int
    interpolation: Filter = "bilinear"
    fit: Fit = "stretch"
    pad: int = 0

    @staticmethod
    def of(settings: InputSettings) -> CropSize:
        """Return the size that a recipe asks for."""
        return CropSize(settings.height, settings.width, settings.interpolation)


class Placement(NamedTuple):
    """Where an image lies in the input of a model.

    Args:
        height: of the resized image, pixels of the input.
        width: likewise.
        top: margin above it, pixels of the input.
        left: margin before it, likewise.
        down: pixels of the input for one pixel of the image, vertically.
        across: likewise, horizontally.
    """

    height: int
    width: int
    top: int
    left: int
    down: float
    across: float

    @property
    def place(self) -> tuple[slice, slice]:
        """Rows and columns of the input that the image takes."""
        return slice(self.top, self.top + self.height), slice(self.left, self.left + self.width)


def placement(height: int, width: int, *, size: CropSize) -> Placement:
    """Return where an image of ``height`` x ``width`` pixels lies in the input."""
    down, across = size.height / height, size.width / width
    if size.fit == "stretch":
        return Placement(size.height, size.width, 0, 0, down, across)
    factor = min(down, across)
    inner_height, inner_width = max(1, round(height * factor)), max(1, round(width * factor))
    centred = size.fit == "centre"
    top, left = ((size.height - inner_height) // 2, (size.width - inner_width) // 2) if centred else (0, 0)
    return Placement(inner_height, inner_width, top, left, inner_height / height, inner_width / width)


def fit_image(image: Image, size: CropSize) -> Image:
    """Return an image ``(h, w, 3)`` uint8 RGB as ``(height, width, 3)``, padded where its aspect is kept."""
    where = placement(image.shape[0], image.shape[1], size=size)
    resized = _resized(image, where.height, width=where.width, interpolation=size.interpolation)
    if size.fit == "stretch":
        return resized
    canvas = np.full((size.height, size.width, 3), size.pad, np.uint8)
    canvas[where.place] = resized
    return canvas


def fit_labels(labels: Image, size: CropSize) -> Image:
    """Return a parsing map ``(h, w)`` uint8 as ``(height, width)``, by the nearest pixel; padding is background."""
    where = placement(labels.shape[0], labels.shape[1], size=size)
    resized = resize_labels(labels, where.height, where.width)
    if size.fit == "stretch":
        return resized
    canvas = np.zeros((size.height, size.width), np.uint8)
    canvas[where.place] = resized
    return canvas


def _resized(image: Image, height: int, *, width: int, interpolation: Filter) -> Image:
    if image.shape[:2] == (height, width):
        return image
    if interpolation in ("bilinear", "bicubic"):
        return resize(image, height, width, interpolation=interpolation)
    shrinks = interpolation == "area" and image.shape[0] > 2 * height
    how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, (width, height), interpolation=how), np.uint8)
