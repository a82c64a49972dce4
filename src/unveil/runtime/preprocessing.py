"""From images to the input of a model: resized as its card says, in its colours, range, layout and type."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unveil.data.fitting import CropSize, fit_image
from unveil.runtime.card import ModelCard

Image = NDArray[np.uint8]


def crop_size(card: ModelCard) -> CropSize:
    """Return the size of a model's input, and how images are brought to it."""
    return CropSize(card.height, card.width, card.interpolation, card.fit, card.pad)


def to_tensor(images: Image, card: ModelCard, *, dtype: np.dtype[Any] | type = np.float32) -> NDArray[Any]:
    """Return ``(n, height, width, 3)`` uint8 RGB images of the right size as the numbers that the model takes.

    Whole-numbered inputs (of quantised models) get the nearest number in their range.
    """
    pixels = images[..., ::-1] if card.channels == "bgr" else images
    std = np.array(card.std, np.float32)
    factor, offset = np.float32(card.scale) / std, np.array(card.mean, np.float32) / std
    wanted = np.dtype(dtype)
    plain = bool((factor == 1).all() and (offset == 0).all())
    if plain and (wanted == np.uint8 or np.issubdtype(wanted, np.floating)):
        tensor: NDArray[Any] = pixels
    else:
        tensor = np.multiply(pixels, factor, dtype=np.float32)
        if offset.any():
            tensor -= offset
    if np.issubdtype(wanted, np.integer) and tensor.dtype != wanted:
        bounds = np.iinfo(wanted)
        tensor = np.clip(np.rint(tensor), bounds.min, bounds.max)
    if card.layout == "nchw":
        tensor = tensor.transpose(0, 3, 1, 2)
    return np.ascontiguousarray(tensor, wanted)


def to_input(images: Sequence[Image], card: ModelCard, *, dtype: np.dtype[Any] | type = np.float32) -> NDArray[Any]:
    """Return ``(h, w, 3)`` uint8 RGB images of any sizes as one input of the model; see `to_tensor`."""
    size = crop_size(card)
    return to_tensor(np.stack([fit_image(image, size) for image in images]), card, dtype=dtype)
