"""Contact sheets: crops, or their masks, of several people side by side; a row a person, boxes all of one size."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import cv2
import numpy as np

from unveil.atomic_io import write_bytes
from unveil.data.readers.manifest import read_manifest
from unveil.errors import DataError, UnveilError
from unveil.records import Sample
from unveil.world.dataset import read_labels
from unveil.world.labels import colours

CELL = (160, 80)  # height and width of a crop on the sheet
GAP = 3
JPEG_QUALITY = 78


def save_sheet(
    manifest: Path, out: Path, *, people: int = 10, columns: int = 12, show: Literal["crops", "masks", "both"] = "crops"
) -> tuple[int, int]:
    """Write a sheet as PNG or JPEG, by its suffix.

    Args:
        manifest: of a rendered world.
        out: file to write.
        people: rows.
        columns: crops of a person, spread over outfits and cameras.
        show: images, masks, or each image above its mask.

    Returns:
        How many people and how many crops are on it.

    Raises:
        UnveilError: neither .png nor .jpg, or the file cannot be written.
        DataError: a crop or a map is missing or damaged.
    """
    check_suffix(out)
    dataset = read_manifest(manifest)
    by_person: dict[str, list[Sample]] = {}
    for sample in dataset.samples:
        by_person.setdefault(sample.person or "", []).append(sample)
    names = sorted(by_person)
    chosen = [names[round(i)] for i in np.linspace(0, len(names) - 1, min(people, len(names)))]
    rows, crops = [], 0
    for name in chosen:
        samples = by_person[name]
        picked = [samples[round(i)] for i in np.linspace(0, len(samples) - 1, min(columns, len(samples)))]
        crops += len(picked)
        if show != "masks":
            rows.append(_row([_image(s) for s in picked]))
        if show != "crops":
            rows.append(_row([_mask(manifest.parent, s) for s in picked]))
    options = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY] if out.suffix.lower() == ".jpg" else []
    write_bytes(out, bytes(cv2.imencode(out.suffix, np.concatenate(rows)[:, :, ::-1], options)[1]))
    return len(chosen), crops


def check_suffix(out: Path) -> None:
    """Refuse a file that is neither PNG nor JPEG.

    Raises:
        UnveilError: neither .png nor .jpg.
    """
    if out.suffix.lower() not in (".png", ".jpg"):
        raise UnveilError(f"cannot write an image of type {out.suffix!r}; use .png or .jpg")


def _row(cells: list[np.ndarray]) -> np.ndarray:
    return np.concatenate([np.pad(c, ((GAP, 0), (GAP, 0), (0, 0)), constant_values=255) for c in cells], 1)


def _image(sample: Sample) -> np.ndarray:
    image = cv2.imread(str(sample.path))
    if image is None:
        raise DataError(f"{sample.path} is missing or no JPEG; render the world again")
    image = image[:, :, ::-1]
    return cv2.resize(image, CELL[::-1], interpolation=cv2.INTER_AREA if image.shape[0] > CELL[0] else cv2.INTER_LINEAR)


def _mask(root: Path, sample: Sample) -> np.ndarray:
    labels = cv2.resize(read_labels(root, sample.key), CELL[::-1], interpolation=cv2.INTER_NEAREST)
    return colours()[labels.astype(np.uint8)]
