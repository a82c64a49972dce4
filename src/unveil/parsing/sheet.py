"""A sheet of crops beside their label maps, so that a person can look at what a parser did."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from unveil.atomic_io import write_bytes
from unveil.data.images import read_labels, read_sample
from unveil.data.parsing_tree import attach_parsing
from unveil.errors import DataError, UnveilError
from unveil.label_sets import Scheme
from unveil.records import Dataset

CELL = (192, 96)  # pixels, height and width of one crop
GAP = 4
QUALITY = 80
MAX_CROPS = 400


def save_sheet(dataset: Dataset, root: Path, *, scheme: Scheme, out: Path, crops: int = 48, columns: int = 8) -> None:
    """Write a sheet of crops from a whole dataset, each with its map from the tree beside it.

    Args:
        dataset: crops.
        root: folder that holds ``parsing/``.
        scheme: label set of the maps.
        out: image to write, .png or .jpg.
        crops: how many at most, spread evenly; up to 400.
        columns: crops per row.

    Raises:
        DataError: no crop has a map.
        UnveilError: the image cannot be written.
    """
    attached, _ = attach_parsing(dataset, root, scheme=scheme.name)
    known = [s for s in attached.samples if s.parsing is not None]
    picked = [known[round(i)] for i in np.linspace(0, len(known) - 1, min(crops, len(known), MAX_CROPS))]
    cells = [
        beside(read_sample(sample), [read_labels(sample.parsing)], scheme=scheme)
        for sample in picked
        if sample.parsing is not None
    ]
    write_grid(cells, out, columns=columns)


def beside(image: NDArray[np.uint8], maps: Sequence[NDArray[np.uint8]], *, scheme: Scheme) -> NDArray[np.uint8]:
    """Return a crop and its maps in the field's colours side by side, ``(192, 96 x (1 + maps), 3)``."""
    how = cv2.INTER_AREA if image.shape[0] > CELL[0] else cv2.INTER_LINEAR
    shown = [cv2.resize(image, CELL[::-1], interpolation=how)]
    palette = scheme.palette
    shown += [palette[cv2.resize(found, CELL[::-1], interpolation=cv2.INTER_NEAREST)] for found in maps]
    return np.concatenate(shown, axis=1)


def write_grid(cells: Sequence[NDArray[np.uint8]], out: Path, *, columns: int = 8) -> None:
    """Write cells of one size as a grid on white.

    Raises:
        DataError: there are none.
        UnveilError: the suffix is neither .png nor .jpg, or the file cannot be written.
    """
    if not cells:
        raise DataError("a sheet needs at least one crop with a map")
    if out.suffix.lower() not in (".png", ".jpg"):
        raise UnveilError(f"cannot write an image of type {out.suffix!r}; use .png or .jpg")
    framed = [np.pad(cell, ((GAP, 0), (GAP, 0), (0, 0)), constant_values=255) for cell in cells]
    framed += [np.full_like(framed[0], 255)] * (-len(framed) % min(columns, len(framed)))
    columns = min(columns, len(framed))
    rows = [np.concatenate(framed[k : k + columns], 1) for k in range(0, len(framed), columns)]
    options = [cv2.IMWRITE_JPEG_QUALITY, QUALITY] if out.suffix.lower() == ".jpg" else []
    write_bytes(out, bytes(cv2.imencode(out.suffix, np.concatenate(rows)[:, :, ::-1], options)[1]))
