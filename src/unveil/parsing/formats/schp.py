"""Palette PNGs as SCHP's ``simple_extractor`` and its kin write them: pixel value = label."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from unveil.atomic_io import atomic_path
from unveil.data.images import read_labels
from unveil.label_sets import Scheme, check_labels


def schp_name(image_name: str) -> str:
    """Return the file name that the tool gives a map: the last four characters of the image name become ``.png``."""
    return image_name[:-4] + ".png"


def read_label_png(path: Path, scheme: Scheme) -> NDArray[np.uint8]:
    """Read a parsing map as ``(H, W)`` labels from a palette, grey or RGB PNG.

    Raises:
        ImageError: the file cannot be read as a map of labels.
        DataError: it holds labels that the scheme does not have.
    """
    labels = read_labels(path)
    check_labels(labels, scheme, path=path)
    return labels


def write_label_png(path: Path, labels: NDArray[np.uint8], *, scheme: Scheme) -> None:
    """Write ``(H, W)`` labels as a palette PNG in the field's colours; never leaves half a file.

    Raises:
        DataError: a label that the scheme does not have; a palette image could not hold it.
    """
    check_labels(labels, scheme, path=path)
    image = Image.fromarray(labels)
    image.putpalette(scheme.palette.tobytes())
    with atomic_path(path) as temporary:
        image.save(temporary, format="PNG")
