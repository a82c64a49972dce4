"""Palette PNGs as SCHP's ``simple_extractor`` and its kin write them (spec 8.5): pixel value = label."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from unveil.errors import DataError, ImageError
from unveil.files import atomic_path
from unveil.parsing.labels import Scheme, check_labels


def schp_name(image_name: str) -> str:
    """Return the file name that the tool gives a map: the last four characters of the image name become ``.png``."""
    return image_name[:-4] + ".png"


def read_label_png(path: Path, scheme: Scheme) -> NDArray[np.uint8]:
    """Read a parsing map as ``(H, W)`` labels from a palette, grey or RGB PNG.

    Indices of a palette image are taken as they are, never through RGB; an RGB image goes through the inverse of the
    scheme's palette.

    Raises:
        ImageError: the file cannot be read.
        DataError: it holds labels or colours that the scheme does not have.
    """
    try:
        with Image.open(path) as image:
            image.load()
            mode, pixels = image.mode, np.asarray(image)
    except (OSError, UnidentifiedImageError, SyntaxError, ValueError) as e:
        raise ImageError(f"{path}: cannot read the parsing map: {e}") from None
    if mode in ("RGB", "RGBA"):
        return _invert_palette(pixels[..., :3], scheme, path)
    if mode not in ("P", "L"):
        raise DataError(f"{path}: expected a palette, grey or RGB image of labels, found mode {mode}")
    check_labels(pixels, scheme, path)
    return pixels


def write_label_png(path: Path, labels: NDArray[np.uint8], scheme: Scheme) -> None:
    """Write ``(H, W)`` labels as a palette PNG in the field's colours; never leaves half a file."""
    image = Image.fromarray(labels)
    image.putpalette([channel for colour in scheme.palette for channel in colour])
    with atomic_path(path) as temporary:
        image.save(temporary, format="PNG")


def _invert_palette(rgb: NDArray[np.uint8], scheme: Scheme, path: Path) -> NDArray[np.uint8]:
    codes = rgb.astype(np.uint32) @ np.array([1 << 16, 1 << 8, 1], dtype=np.uint32)
    known = np.array(scheme.palette, dtype=np.uint32) @ np.array([1 << 16, 1 << 8, 1], dtype=np.uint32)
    order = np.argsort(known)
    found = order[np.searchsorted(known, codes, sorter=order).clip(0, len(known) - 1)]
    wrong = known[found] != codes
    if wrong.any():
        y, x = np.argwhere(wrong)[0]
        colour = tuple(int(c) for c in rgb[y, x])
        raise DataError(
            f"{path}: colour {colour} at (x {x}, y {y}) is not in the palette of {scheme.name}; "
            "a map saved as RGB must keep the palette's exact colours"
        )
    return found.astype(np.uint8)
