"""What the public functions take for crops: names of sources, files, images in memory, samples, datasets."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from unveil.datasets.sources import crops_of
from unveil.errors import DataError
from unveil.records import Dataset, Sample

OneCrop = str | Path | np.ndarray | Image.Image | Sample
"""An image file, ``(H, W, 3)`` uint8 RGB, a Pillow image, or a `Sample`."""

Crops = OneCrop | Dataset | Sequence[OneCrop]
"""One crop, several, or a source of many: a folder, a manifest (``.csv``), or ``name:root`` of a known dataset."""


def dataset_of(crops: Crops) -> Dataset:
    """Return crops as a dataset.

    Args:
        crops: see `Crops`.

    Raises:
        DataError: a source has no image, or something is no crop.
    """
    if isinstance(crops, Dataset):
        return crops
    if isinstance(crops, (str, Path)):
        return crops_of(str(crops))
    if isinstance(crops, (np.ndarray, Image.Image, Sample)):
        crops = [crops]
    if not crops:
        raise DataError("expected at least one crop, got none")
    return Dataset("crops", tuple(_sample(crop, number) for number, crop in enumerate(crops)))


def _sample(crop: OneCrop, number: int) -> Sample:
    if isinstance(crop, Sample):
        return crop
    if isinstance(crop, (str, Path)):
        return Sample(str(crop), Path(crop))
    if isinstance(crop, np.ndarray):
        if crop.ndim != 3 or crop.shape[2] != 3 or crop.dtype != np.uint8 or not crop.size:
            raise DataError(f"crop {number}: expected (H, W, 3) uint8 RGB, got {crop.shape} {crop.dtype}")
        crop = Image.fromarray(crop)
    if not isinstance(crop, Image.Image):
        raise DataError(f"crop {number}: expected a file, an image or a Sample, got {type(crop).__name__}")
    encoded = io.BytesIO()
    crop.convert("RGB").save(encoded, "PNG", compress_level=1)
    return Sample(f"image {number}", data=encoded.getvalue())
