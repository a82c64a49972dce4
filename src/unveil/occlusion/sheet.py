"""Contact sheets of crops, so that what was occluded can be seen at a glance."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image as PillowImage

from unveil.atomic_io import write_bytes
from unveil.data.images import read_image, read_sample, resize
from unveil.errors import UnveilError
from unveil.occlusion.compose import Image
from unveil.records import Dataset

CELL = (160, 80)  # height and width of a crop on the sheet, pixels
GAP = 3
MAX_CELLS = 10_000
FORMATS = {".png": "PNG", ".jpg": "JPEG"}


def save_grid(rows: Sequence[Sequence[Image]], path: Path) -> None:
    """Write crops in rows, each enlarged or shrunk to the same box.

    Args:
        rows: crops ``(h, w, 3)`` uint8 of any size; a row may be shorter than another.
        path: image to write, .png or .jpg.

    Raises:
        UnveilError: another kind of file, nothing to show, or too much for an image.
    """
    if path.suffix.lower() not in FORMATS:
        raise UnveilError(f"cannot write an image of type {path.suffix!r}; use .png or .jpg")
    widest = max((len(row) for row in rows), default=0)
    if not 1 <= widest * len(rows) <= MAX_CELLS:
        raise UnveilError(f"a sheet has 1 to {MAX_CELLS} crops, found {widest * len(rows)}")
    height, width = CELL[0] + GAP, CELL[1] + GAP
    sheet = np.full((len(rows) * height - GAP, widest * width - GAP, 3), 255, np.uint8)
    for y, row in enumerate(rows):
        for x, crop in enumerate(row):
            sheet[y * height : y * height + CELL[0], x * width : x * width + CELL[1]] = resize(crop, *CELL)
    buffer = io.BytesIO()
    PillowImage.fromarray(sheet).save(buffer, FORMATS[path.suffix.lower()], quality=85)
    write_bytes(path, buffer.getvalue())


def save_copy_sheet(dataset: Dataset, out: Path, *, path: Path, rows: int = 3, columns: int = 12) -> None:
    """Write crops of a dataset, evenly spread over it, each row above the same crops as its copy shows them.

    Args:
        dataset: what was occluded.
        out: folder of the copy.
        path: image to write, .png or .jpg.
        rows: pairs of rows.
        columns: crops in a row.
    """
    count = min(rows * columns, len(dataset.samples))
    chosen = [dataset.samples[round(i)] for i in np.linspace(0, len(dataset.samples) - 1, count)]
    lines = []
    for start in range(0, count, columns):
        part = chosen[start : start + columns]
        lines += [[read_sample(s) for s in part], [read_image(out / s.key) for s in part]]
    save_grid(lines, path)
